#include "ops/norm.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<NormKernels> norm_kernels;
const PerType<NormKernels> norm_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
