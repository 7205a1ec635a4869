#include "ops/random.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const RandomKernels random_kernels;
const RandomKernels random_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
