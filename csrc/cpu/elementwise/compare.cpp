// equal, not_equal, less, less_equal, and, or: bool for every dtype. A NaN is unequal to all, itself included.
#include "cpu/elementwise/walk.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

template <typename T>
void compare(BinaryOp op, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (op) {
    case BinaryOp::Equal: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return p == q; });
    case BinaryOp::NotEqual: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return p != q; });
    case BinaryOp::Less: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return p < q; });
    case BinaryOp::LessEqual: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return p <= q; });
    case BinaryOp::And: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return bool((p != 0) & (q != 0)); });
    default: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return bool((p != 0) | (q != 0)); });
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

}  // namespace RANVIER_ISA
}  // namespace ranvier
