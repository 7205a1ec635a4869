#include "ops/activation.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<ActivationKernels> activation_kernels;
const PerType<ActivationKernels> activation_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
