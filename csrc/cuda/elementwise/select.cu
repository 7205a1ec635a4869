// where and power, and the family's table.
#include "cuda/elementwise/walk.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// Only the size of an element matters: T is an unsigned integer of that size.
template <typename T>
__global__ void choose(const bool* condition, const T* a, const T* b, T* y, const __grid_constant__ Broadcast shape) {
  for (int64_t i = grid_thread(); i < shape.size; i += grid_threads()) {
    const Offsets offsets = offsets_of<3>(i, shape);
    y[i] = condition[offsets.at[0]] ? a[offsets.at[1]] : b[offsets.at[2]];
  }
}

template <typename T>
void where(const bool* condition, const void* a, const void* b, void* y, const Broadcast& shape) {
  launch<choose<T>>(grid_for(shape.size), dim3(kThreads), 0, current_stream(), condition, static_cast<const T*>(a),
                    static_cast<const T*>(b), static_cast<T*>(y), shape);
}

// Integers wrap around; the op has refused negative exponents.
template <typename T, typename U>
struct IntegerPower {
  __device__ T operator()(T base, T exponent) const {
    U result = 1, square = U(base);
    for (uint64_t left = uint64_t(exponent); left != 0; left >>= 1) {
      if (left & 1) result = U(result * square);
      square = U(square * square);
    }
    return T(result);
  }
};

// float32 through double: the last bit of powf is worth less than that.
template <typename T>
struct Power {
  __device__ T operator()(T base, T exponent) const { return T(pow(double(base), double(exponent))); }
};

}  // namespace

void elementwise_power(DType dtype, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (dtype) {
    case DType::Float32: return binary_kernel<float, float>(a, b, y, shape, Power<float>{});
    case DType::Float64: return binary_kernel<double, double>(a, b, y, shape, Power<double>{});
    case DType::Int32: return binary_kernel<int32_t, int32_t>(a, b, y, shape, IntegerPower<int32_t, uint32_t>{});
    case DType::Int64: return binary_kernel<int64_t, int64_t>(a, b, y, shape, IntegerPower<int64_t, uint64_t>{});
    default: return binary_kernel<uint8_t, uint8_t>(a, b, y, shape, IntegerPower<uint8_t, uint32_t>{});
  }
}

void elementwise_where(std::size_t item, const bool* condition, const void* a, const void* b, void* y,
                       const Broadcast& shape) {
  switch (item) {
    case 1: return where<uint8_t>(condition, a, b, y, shape);
    case 2: return where<uint16_t>(condition, a, b, y, shape);
    case 4: return where<uint32_t>(condition, a, b, y, shape);
    default: return where<uint64_t>(condition, a, b, y, shape);
  }
}

extern const ElementwiseKernels elementwise_kernels;
const ElementwiseKernels elementwise_kernels = {
    elementwise_unary, elementwise_binary,        elementwise_where,
    elementwise_clip,  elementwise_clip_backward, elementwise_cast,
};

}  // namespace RANVIER_GPU
}  // namespace ranvier
