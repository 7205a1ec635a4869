#include "ops/recurrent.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<RecurrentKernels> recurrent_kernels;
const PerType<RecurrentKernels> recurrent_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
