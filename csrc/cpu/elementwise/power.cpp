// power: libm for floats, squaring for integers.
#include <math.h>

#include "cpu/elementwise/walk.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Integers wrap around; the op has refused negative exponents.
template <typename T, typename U>
RANVIER_INLINE T integer_power(T base, T exponent) {
  U result = 1, square = U(base);
  for (uint64_t left = uint64_t(exponent); left != 0; left >>= 1) {
    if (left & 1) result = U(result * square);
    square = U(square * square);
  }
  return T(result);
}

template <typename T>
void floating_power(const void* a, const void* b, void* y, const Broadcast& shape) {
  binary_loop<T, T>(a, b, y, shape, [](T p, T q) {
    if (q == T(2)) return T(p * p);  // nearly every exponent that is ever used
    if (q == T(1)) return p;
    if (q == T(3)) return T(double(p) * p * p);
    return T(::pow(double(p), double(q)));
  });
}

}  // namespace

void elementwise_power(DType dtype, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (dtype) {
    case DType::Float32: return floating_power<float>(a, b, y, shape);
    case DType::Float64: return floating_power<double>(a, b, y, shape);
    case DType::Int32: return binary_loop<int32_t, int32_t>(a, b, y, shape, integer_power<int32_t, uint32_t>);
    case DType::Int64: return binary_loop<int64_t, int64_t>(a, b, y, shape, integer_power<int64_t, uint64_t>);
    default: return binary_loop<uint8_t, uint8_t>(a, b, y, shape, integer_power<uint8_t, uint32_t>);
  }
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
