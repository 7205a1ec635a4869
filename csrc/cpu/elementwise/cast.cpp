// Casts between all dtypes. One rounding, to nearest even; float to integer truncates and saturates, NaN
// becoming 0 (C++ and NumPy leave these undefined); integer to integer wraps around; to bool is "not 0".
#include "cpu/elementwise/walk.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

RANVIER_INLINE uint32_t bits_of(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof(bits));
  return bits;
}
RANVIER_INLINE float float_of(uint32_t bits) {
  float v;
  memcpy(&v, &bits, sizeof(v));
  return v;
}

// --- 16-bit floats to float32: exact ---

RANVIER_INLINE float widen(BFloat16 v) { return float_of(uint32_t(v.bits) << 16); }

// Exponent and mantissa move to float's places, and a multiplication by 2^112 mends the exponent's bias,
// denormals included; Inf and NaN get the rest of their exponent.
RANVIER_INLINE float widen(Float16 v) {
  const uint32_t magnitude = uint32_t(v.bits & 0x7fff) << 13;
  const float scaled = float_of(magnitude) * 0x1p112f;
  const uint32_t bits = v.bits & 0x7fff;
  const uint32_t finite = bits_of(scaled);
  return float_of((bits >= 0x7c00 ? magnitude | 0x7f800000u : finite) | uint32_t(v.bits & 0x8000) << 16);
}

// --- float32 to 16-bit floats ---

RANVIER_INLINE BFloat16 to_bfloat16(float v) {
  const uint32_t bits = bits_of(v);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  // the carry may reach Inf, as it should
  const uint32_t quiet = (bits >> 16) | 0x40;                           // a NaN stays one when its tail is cut
  return {uint16_t((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded)};
}

// Below 2^-14 the result is denormal: adding 0.5 lets the adder round at the right place.
RANVIER_INLINE Float16 to_float16(float v) {
  const uint32_t bits = bits_of(v), magnitude = bits & 0x7fffffffu;
  const uint32_t denormal = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
  const uint32_t normal = (magnitude - 0x38000000u + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  const uint32_t nan = ((magnitude >> 13) & 0x3ff) | 0x7e00;
  const uint32_t large = magnitude > 0x7f800000u ? nan : magnitude >= 0x477ff000u ? 0x7c00u : normal;
  return {uint16_t((magnitude < 0x38800000u ? denormal : large) | (bits >> 16 & 0x8000))};
}

// --- the way to the 16-bit floats goes through float32, rounded to odd: a second rounding, to nearest, then
// gives what one rounding would (Boldo and Melquiond 2008: float32 has more than two bits to spare) ---

RANVIER_INLINE float odd(float v) { return v; }
RANVIER_INLINE float odd(double v) {
  const float near = float(v);
  if (double(near) == v || near != near) return near;
  const bool away = near < 0 ? double(near) < v : double(near) > v;
  return float_of((bits_of(near) - (away ? 1u : 0u)) | 1u);
}
RANVIER_INLINE float odd(int64_t v) {
  constexpr int64_t kTail = (int64_t(1) << 11) - 1;  // what a double cannot hold, kept as one sticky bit
  if (v > (int64_t(1) << 53) || v < -(int64_t(1) << 53)) v = (v & ~kTail) | ((v & kTail) != 0 ? kTail + 1 : 0);
  return odd(double(v));
}
RANVIER_INLINE float odd(int32_t v) { return odd(double(v)); }
RANVIER_INLINE float odd(uint8_t v) { return float(v); }
RANVIER_INLINE float odd(bool v) { return float(v); }

// --- anything to anything: Into<To>::from(value) ---

// Truncation where the result fits. `below` and `above` are powers of two, exact in T, just outside.
template <typename I, typename T>
RANVIER_INLINE I saturate(T v, T below, T above, I smallest, I largest) {
  return v != v ? I(0) : v <= below ? smallest : v >= above ? largest : I(v);
}
RANVIER_INLINE int32_t truncate(float v, int32_t) {
  return saturate<int32_t>(v, -0x1p31f, 0x1p31f, INT32_MIN, INT32_MAX);
}
RANVIER_INLINE int32_t truncate(double v, int32_t) {
  return saturate<int32_t>(v, -0x1p31 - 1, 0x1p31, INT32_MIN, INT32_MAX);
}
template <typename T>
RANVIER_INLINE int64_t truncate(T v, int64_t) {
  return saturate<int64_t>(v, T(-0x1p63), T(0x1p63), INT64_MIN, INT64_MAX);
}
template <typename T>
RANVIER_INLINE uint8_t truncate(T v, uint8_t) {
  return saturate<uint8_t>(v, T(-1), T(256), uint8_t(0), uint8_t(255));
}

// clang-format off
RANVIER_INLINE float plain(float v) { return v; }
RANVIER_INLINE double plain(double v) { return v; }
RANVIER_INLINE float plain(Float16 v) { return widen(v); }
RANVIER_INLINE float plain(BFloat16 v) { return widen(v); }
RANVIER_INLINE int32_t plain(int32_t v) { return v; }
RANVIER_INLINE int64_t plain(int64_t v) { return v; }
RANVIER_INLINE uint8_t plain(uint8_t v) { return v; }
RANVIER_INLINE bool plain(bool v) { return v; }

template <typename I> RANVIER_INLINE I integer(float v) { return truncate(v, I{}); }
template <typename I> RANVIER_INLINE I integer(double v) { return truncate(v, I{}); }
template <typename I> RANVIER_INLINE I integer(int32_t v) { return I(v); }
template <typename I> RANVIER_INLINE I integer(int64_t v) { return I(v); }
template <typename I> RANVIER_INLINE I integer(uint8_t v) { return I(v); }
template <typename I> RANVIER_INLINE I integer(bool v) { return I(v); }

template <typename To> struct Into { template <typename F> static RANVIER_INLINE To from(F v) { return integer<To>(v); } };
template <> struct Into<float> { template <typename F> static RANVIER_INLINE float from(F v) { return float(v); } };
template <> struct Into<double> { template <typename F> static RANVIER_INLINE double from(F v) { return double(v); } };
template <> struct Into<bool> { template <typename F> static RANVIER_INLINE bool from(F v) { return v != F(0); } };
template <> struct Into<Float16> {
  template <typename F> static RANVIER_INLINE Float16 from(F v) { return to_float16(odd(v)); }
};
template <> struct Into<BFloat16> {
  template <typename F> static RANVIER_INLINE BFloat16 from(F v) { return to_bfloat16(odd(v)); }
};
// clang-format on

template <typename From, typename To>
void cast_loop(const void* x, void* y, int64_t n) {
  const From* from = static_cast<const From*>(x);
  To* to = static_cast<To*>(y);
  parallel(0, n, element_grain(n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = Into<To>::from(plain(from[i]));
  });
}

template <typename From>
void cast_from(DType to, const void* x, void* y, int64_t n) {
  switch (to) {
    case DType::Float32: return cast_loop<From, float>(x, y, n);
    case DType::Float64: return cast_loop<From, double>(x, y, n);
    case DType::Float16: return cast_loop<From, Float16>(x, y, n);
    case DType::BFloat16: return cast_loop<From, BFloat16>(x, y, n);
    case DType::Int32: return cast_loop<From, int32_t>(x, y, n);
    case DType::Int64: return cast_loop<From, int64_t>(x, y, n);
    case DType::UInt8: return cast_loop<From, uint8_t>(x, y, n);
    case DType::Bool: return cast_loop<From, bool>(x, y, n);
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

}  // namespace RANVIER_ISA
}  // namespace ranvier
