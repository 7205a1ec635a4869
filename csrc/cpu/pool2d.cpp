#include "ops/pool2d.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<Pool2dKernels> pool2d_kernels;
const PerType<Pool2dKernels> pool2d_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
