// add, subtract, multiply, divide, maximum, minimum. Integers wrap around: they are computed unsigned.
#include "cpu/elementwise/walk.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// clang-format off
template <typename T> struct Wrapping { typedef T Type; };
template <> struct Wrapping<int32_t> { typedef uint32_t Type; };
template <> struct Wrapping<int64_t> { typedef uint64_t Type; };
// clang-format on
template <typename T>
using Wrap = typename Wrapping<T>::Type;

template <typename T>
void arithmetic(BinaryOp op, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (op) {
    case BinaryOp::Add: return binary_loop<T, T>(a, b, y, shape, [](T p, T q) { return T(Wrap<T>(p) + Wrap<T>(q)); });
    case BinaryOp::Subtract:
      return binary_loop<T, T>(a, b, y, shape, [](T p, T q) { return T(Wrap<T>(p) - Wrap<T>(q)); });
    case BinaryOp::Multiply:
      return binary_loop<T, T>(a, b, y, shape, [](T p, T q) { return T(Wrap<T>(p) * Wrap<T>(q)); });
    case BinaryOp::Maximum: return binary_loop<T, T>(a, b, y, shape, [](T p, T q) { return scalar_max(p, q); });
    case BinaryOp::Minimum: return binary_loop<T, T>(a, b, y, shape, [](T p, T q) { return scalar_min(p, q); });
    default: return;
  }
}

template <typename T>
void floating(BinaryOp op, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (op) {
    case BinaryOp::Divide: return binary_loop<T, T>(a, b, y, shape, [](T p, T q) { return p / q; });
    case BinaryOp::MaximumShare:
      return binary_loop<T, T>(a, b, y, shape, [](T p, T q) { return p < q ? T(0) : p == q ? T(0.5) : T(1); });
    default: return arithmetic<T>(op, a, b, y, shape);
  }
}

}  // namespace

void elementwise_arithmetic(BinaryOp op, DType dtype, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (dtype) {
    case DType::Float32: return floating<float>(op, a, b, y, shape);
    case DType::Float64: return floating<double>(op, a, b, y, shape);
    case DType::Int32: return arithmetic<int32_t>(op, a, b, y, shape);
    case DType::Int64: return arithmetic<int64_t>(op, a, b, y, shape);
    default: return arithmetic<uint8_t>(op, a, b, y, shape);  // and bool, whose bytes are 0 and 1
  }
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
