#include "cpu/elementwise/walk.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

void binary(BinaryOp op, DType dtype, const void* a, const void* b, void* y, const Broadcast& shape) {
  if (op == BinaryOp::Power) return elementwise_power(dtype, a, b, y, shape);
  if (op >= BinaryOp::Equal) return elementwise_compare(op, dtype, a, b, y, shape);
  elementwise_arithmetic(op, dtype, a, b, y, shape);
}

}  // namespace

extern const ElementwiseKernels elementwise_kernels;
const ElementwiseKernels elementwise_kernels = {
    elementwise_unary, binary, elementwise_where, elementwise_clip, elementwise_clip_backward, elementwise_cast,
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
