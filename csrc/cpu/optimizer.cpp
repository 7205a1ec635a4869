#include "ops/optimizer.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<OptimizerKernels> optimizer_kernels;
const PerType<OptimizerKernels> optimizer_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
