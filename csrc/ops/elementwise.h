// Arithmetic, comparisons, selection and casts, element by element, with NumPy's broadcasting; and
// sum_to_shape, which takes the gradient of a broadcast operand back to the operand's shape.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

namespace ranvier {

// isnan, isfinite and logical_not give bool; the others x's dtype.
enum class UnaryOp : uint8_t {
  Negative,
  Exp,
  Expm1,
  Log,
  Log1p,
  Erf,
  Sqrt,
  Square,
  Absolute,
  Sign,
  IsNan,
  IsFinite,
  LogicalNot
};

// Comparisons give bool; a > b is Less with the operands exchanged. MaximumShare is the slope of
// maximum(a, b) by a: 1 where a > b, 1/2 where they are equal, 0 where a < b (1 beside a NaN).
enum class BinaryOp : uint8_t {
  Add,
  Subtract,
  Multiply,
  Divide,
  Power,
  Maximum,
  Minimum,
  MaximumShare,
  Equal,
  NotEqual,
  Less,
  LessEqual,
  And,  // of truth: whether both are not 0
  Or
};

constexpr int kMaxAxes = 64;
constexpr int kMaxOperands = 3;

// Operands read along a common shape: element strides per axis, 0 where an operand is repeated. Axes that
// every operand walks alike are merged, axes of one element dropped; there is always at least one axis, and
// along the last one each stride is 0 or 1. The output is contiguous.
struct Broadcast {
  int axes;
  int64_t size;  // elements of the output
  int64_t sizes[kMaxAxes];
  int64_t strides[kMaxOperands][kMaxAxes];
};

// dtype is that of the inputs: float32, float64, int32, int64, uint8, and bool where the op has a meaning
// on it. 16-bit floats are widened by cast first.
struct ElementwiseKernels {
  void (*unary)(UnaryOp op, DType dtype, const void* x, void* y, int64_t n);
  void (*binary)(BinaryOp op, DType dtype, const void* a, const void* b, void* y, const Broadcast& shape);
  void (*where)(std::size_t item, const bool* condition, const void* a, const void* b, void* y, const Broadcast& shape);
  void (*clip)(DType dtype, const void* x, double low, double high, void* y, int64_t n);
  void (*clip_backward)(DType dtype, const void* x, const void* dy, double low, double high, void* dx, int64_t n);
  void (*cast)(DType from, DType to, const void* x, void* y, int64_t n);
};

}  // namespace ranvier
