// add, subtract, multiply, divide, maximum, minimum and the share of a maximum; equal, not_equal, less, less_equal.
// Integers wrap around: they are computed unsigned.
#include "cuda/elementwise/walk.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

#define RANVIER_BINARY(Name, expression)                              \
  template <typename T>                                               \
  struct Name {                                                       \
    __device__ auto operator()(T p, T q) const { return expression; } \
  }
RANVIER_BINARY(Add, T(Wrap<T>(p) + Wrap<T>(q)));
RANVIER_BINARY(Subtract, T(Wrap<T>(p) - Wrap<T>(q)));
RANVIER_BINARY(Multiply, T(Wrap<T>(p) * Wrap<T>(q)));
RANVIER_BINARY(Divide, p / q);
RANVIER_BINARY(Maximum, larger(p, q));
RANVIER_BINARY(Minimum, smaller(p, q));
RANVIER_BINARY(MaximumShare, p < q ? T(0) : p == q ? T(0.5) : T(1));
RANVIER_BINARY(Equal, bool(p == q));
RANVIER_BINARY(NotEqual, bool(p != q));
RANVIER_BINARY(Less, bool(p < q));
RANVIER_BINARY(LessEqual, bool(p <= q));
RANVIER_BINARY(And, bool((p != T(0)) & (q != T(0))));
RANVIER_BINARY(Or, bool((p != T(0)) | (q != T(0))));
#undef RANVIER_BINARY

template <typename T>
void arithmetic(BinaryOp op, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (op) {
    case BinaryOp::Add: return binary_kernel<T, T>(a, b, y, shape, Add<T>{});
    case BinaryOp::Subtract: return binary_kernel<T, T>(a, b, y, shape, Subtract<T>{});
    case BinaryOp::Multiply: return binary_kernel<T, T>(a, b, y, shape, Multiply<T>{});
    case BinaryOp::Maximum: return binary_kernel<T, T>(a, b, y, shape, Maximum<T>{});
    case BinaryOp::Minimum: return binary_kernel<T, T>(a, b, y, shape, Minimum<T>{});
    default: return;
  }
}

template <typename T>
void floating(BinaryOp op, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (op) {
    case BinaryOp::Divide: return binary_kernel<T, T>(a, b, y, shape, Divide<T>{});
    case BinaryOp::MaximumShare: return binary_kernel<T, T>(a, b, y, shape, MaximumShare<T>{});
    default: return arithmetic<T>(op, a, b, y, shape);
  }
}

template <typename T>
void compare(BinaryOp op, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (op) {
    case BinaryOp::Equal: return binary_kernel<T, bool>(a, b, y, shape, Equal<T>{});
    case BinaryOp::NotEqual: return binary_kernel<T, bool>(a, b, y, shape, NotEqual<T>{});
    case BinaryOp::Less: return binary_kernel<T, bool>(a, b, y, shape, Less<T>{});
    case BinaryOp::LessEqual: return binary_kernel<T, bool>(a, b, y, shape, LessEqual<T>{});
    case BinaryOp::And: return binary_kernel<T, bool>(a, b, y, shape, And<T>{});
    default: return binary_kernel<T, bool>(a, b, y, shape, Or<T>{});
  }
}

}  // namespace

void elementwise_compare(BinaryOp op, DType dtype, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (dtype) {
    case DType::Float32: return compare<float>(op, a, b, y, shape);
    case DType::Float64: return compare<double>(op, a, b, y, shape);
    case DType::Int32: return compare<int32_t>(op, a, b, y, shape);
    case DType::Int64: return compare<int64_t>(op, a, b, y, shape);
    default: return compare<uint8_t>(op, a, b, y, shape);
  }
}

void elementwise_binary(BinaryOp op, DType dtype, const void* a, const void* b, void* y, const Broadcast& shape) {
  if (op == BinaryOp::Power) return elementwise_power(dtype, a, b, y, shape);
  if (op >= BinaryOp::Equal) return elementwise_compare(op, dtype, a, b, y, shape);
  switch (dtype) {
    case DType::Float32: return floating<float>(op, a, b, y, shape);
    case DType::Float64: return floating<double>(op, a, b, y, shape);
    case DType::Int32: return arithmetic<int32_t>(op, a, b, y, shape);
    case DType::Int64: return arithmetic<int64_t>(op, a, b, y, shape);
    default: return arithmetic<uint8_t>(op, a, b, y, shape);  // and bool, whose bytes are 0 and 1
  }
}

}  // namespace RANVIER_GPU
}  // namespace ranvier
