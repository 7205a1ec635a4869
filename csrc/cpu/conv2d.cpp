#include "ops/conv2d.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<Conv2dKernels> conv2d_kernels;
const PerType<Conv2dKernels> conv2d_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
