#include "ops/elementwise.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const ElementwiseKernels elementwise_kernels;
const ElementwiseKernels elementwise_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
