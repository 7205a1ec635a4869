// Casts between all dtypes, with the rules and the bits of csrc/cpu/elementwise/cast.cpp: one rounding, to nearest
// even; float to integer truncates and saturates, NaN becoming 0; integer to integer wraps around; to bool is "not 0".
#include "cuda/elementwise/walk.h"
#include "cuda/half.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// --- the way to the 16-bit floats goes through float32, rounded to odd: a second rounding, to nearest, then
// gives what one rounding would (Boldo and Melquiond 2008: float32 has more than two bits to spare) ---

__device__ float odd(float v) { return v; }
__device__ float odd(double v) {
  const float near = float(v);
  if (double(near) == v || near != near) return near;
  const bool away = near < 0 ? double(near) < v : double(near) > v;
  return float_of((bits_of(near) - (away ? 1u : 0u)) | 1u);
}
__device__ float odd(int64_t v) {
  constexpr int64_t kTail = (int64_t(1) << 11) - 1;  // what a double cannot hold, kept as one sticky bit
  if (v > (int64_t(1) << 53) || v < -(int64_t(1) << 53)) v = (v & ~kTail) | ((v & kTail) != 0 ? kTail + 1 : 0);
  return odd(double(v));
}
__device__ float odd(int32_t v) { return odd(double(v)); }
__device__ float odd(uint8_t v) { return float(v); }
__device__ float odd(bool v) { return float(v); }

// --- anything to anything: Into<To>::from(value) ---

// Truncation where the result fits. `below` and `above` are powers of two, exact in T, just outside.
template <typename I, typename T>
__device__ I saturate(T v, T below, T above, I smallest, I largest) {
  return v != v ? I(0) : v <= below ? smallest : v >= above ? largest : I(v);
}
__device__ int32_t truncate(float v, int32_t) { return saturate<int32_t>(v, -0x1p31f, 0x1p31f, INT32_MIN, INT32_MAX); }
__device__ int32_t truncate(double v, int32_t) {
  return saturate<int32_t>(v, -0x1p31 - 1, 0x1p31, INT32_MIN, INT32_MAX);
}
template <typename T>
__device__ int64_t truncate(T v, int64_t) {
  return saturate<int64_t>(v, T(-0x1p63), T(0x1p63), INT64_MIN, INT64_MAX);
}
template <typename T>
__device__ uint8_t truncate(T v, uint8_t) {
  return saturate<uint8_t>(v, T(-1), T(256), uint8_t(0), uint8_t(255));
}

// clang-format off
__device__ float plain(float v) { return v; }
__device__ double plain(double v) { return v; }
__device__ float plain(Float16 v) { return widen(v); }
__device__ float plain(BFloat16 v) { return widen(v); }
__device__ int32_t plain(int32_t v) { return v; }
__device__ int64_t plain(int64_t v) { return v; }
__device__ uint8_t plain(uint8_t v) { return v; }
__device__ bool plain(bool v) { return v; }

template <typename I> __device__ I integer(float v) { return truncate(v, I{}); }
template <typename I> __device__ I integer(double v) { return truncate(v, I{}); }
template <typename I> __device__ I integer(int32_t v) { return I(v); }
template <typename I> __device__ I integer(int64_t v) { return I(v); }
template <typename I> __device__ I integer(uint8_t v) { return I(v); }
template <typename I> __device__ I integer(bool v) { return I(v); }

template <typename To> struct Into { template <typename F> __device__ static To from(F v) { return integer<To>(v); } };
template <> struct Into<float> { template <typename F> __device__ static float from(F v) { return float(v); } };
template <> struct Into<double> { template <typename F> __device__ static double from(F v) { return double(v); } };
template <> struct Into<bool> { template <typename F> __device__ static bool from(F v) { return v != F(0); } };
template <> struct Into<Float16> {
  template <typename F> __device__ static Float16 from(F v) { return to_float16(odd(v)); }
};
template <> struct Into<BFloat16> {
  template <typename F> __device__ static BFloat16 from(F v) { return to_bfloat16(odd(v)); }
};
// clang-format on

template <typename From, typename To>
struct Cast {
  __device__ To operator()(From v) const { return Into<To>::from(plain(v)); }
};

template <typename From, typename To>
void convert(const void* x, void* y, int64_t n) {
  unary_kernel<From, To>(x, y, n, Cast<From, To>{});
}

template <typename From>
void cast_from(DType to, const void* x, void* y, int64_t n) {
  switch (to) {
    case DType::Float32: return convert<From, float>(x, y, n);
    case DType::Float64: return convert<From, double>(x, y, n);
    case DType::Float16: return convert<From, Float16>(x, y, n);
    case DType::BFloat16: return convert<From, BFloat16>(x, y, n);
    case DType::Int32: return convert<From, int32_t>(x, y, n);
    case DType::Int64: return convert<From, int64_t>(x, y, n);
    case DType::UInt8: return convert<From, uint8_t>(x, y, n);
    case DType::Bool: return convert<From, bool>(x, y, n);
  }
}

}  // namespace

void elementwise_cast(DType from, DType to, const void* x, void* y, int64_t n) {
  switch (from) {
    case DType::Float32: return cast_from<float>(to, x, y, n);
    case DType::Float64: return cast_from<double>(to, x, y, n);
    case DType::Float16: return cast_from<Float16>(to, x, y, n);
    case DType::BFloat16: return cast_from<BFloat16>(to, x, y, n);
    case DType::Int32: return cast_from<int32_t>(to, x, y, n);
    case DType::Int64: return cast_from<int64_t>(to, x, y, n);
    case DType::UInt8: return cast_from<uint8_t>(to, x, y, n);
    case DType::Bool: return cast_from<bool>(to, x, y, n);
  }
}

}  // namespace RANVIER_GPU
}  // namespace ranvier
