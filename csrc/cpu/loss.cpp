#include "ops/loss.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<LossKernels> loss_kernels;
const PerType<LossKernels> loss_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
