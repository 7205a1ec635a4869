#include "ops/shape.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const ShapeKernels shape_kernels;
const ShapeKernels shape_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
