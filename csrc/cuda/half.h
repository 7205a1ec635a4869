// float16 and bfloat16: what memory holds. Kernels are templates over T in memory and compute in Wide<T>:
//
//   y[i] = rounded<T>(f(wide(x[i])));
//
// where both are nothing at all for other T. Bits and integers, so that GPU, simulator and CPU
// (csrc/cpu/elementwise/cast.cpp) give the same; an instruction where a GPU has one.
#pragma once

#include <string.h>

#include "core/dtype.h"
#include "cuda/cuda.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

__device__ uint32_t bits_of(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof(bits));
  return bits;
}
__device__ float float_of(uint32_t bits) {
  float v;
  memcpy(&v, &bits, sizeof(v));
  return v;
}

// --- 16-bit floats to float32: exact ---

__device__ float widen(BFloat16 v) { return float_of(uint32_t(v.bits) << 16); }

// Exponent and mantissa move to float's places, and a multiplication by 2^112 mends the exponent's bias,
// denormals included; Inf and NaN get the rest of their exponent.
__device__ float widen(Float16 v) {
#if defined(__CUDACC__)
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(v.bits));
  return value;
#else
  const uint32_t magnitude = uint32_t(v.bits & 0x7fff) << 13;
  const float scaled = float_of(magnitude) * 0x1p112f;
  const uint32_t bits = v.bits & 0x7fff;
  const uint32_t finite = bits_of(scaled);
  return float_of((bits >= 0x7c00 ? magnitude | 0x7f800000u : finite) | uint32_t(v.bits & 0x8000) << 16);
#endif
}

// --- float32 to 16-bit floats ---

__device__ BFloat16 to_bfloat16(float v) {
  const uint32_t bits = bits_of(v);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  // the carry may reach Inf, as it should
  const uint32_t quiet = (bits >> 16) | 0x40;                           // a NaN stays one when its tail is cut
  return {uint16_t((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded)};
}

// Below 2^-14 the result is denormal: adding 0.5 lets the adder round at the right place.
__device__ Float16 to_float16(float v) {
#if defined(__CUDACC__)
  Float16 half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half.bits) : "f"(v));
  return half;
#else
  const uint32_t bits = bits_of(v), magnitude = bits & 0x7fffffffu;
  const uint32_t denormal = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
  const uint32_t normal = (magnitude - 0x38000000u + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  const uint32_t nan = ((magnitude >> 13) & 0x3ff) | 0x7e00;
  const uint32_t large = magnitude > 0x7f800000u ? nan : magnitude >= 0x477ff000u ? 0x7c00u : normal;
  return {uint16_t((magnitude < 0x38800000u ? denormal : large) | (bits >> 16 & 0x8000))};
#endif
}

// --- for templates over T ---

// clang-format off
template <typename T> __device__ T wide(T v) { return v; }
__device__ float wide(Float16 v) { return widen(v); }
__device__ float wide(BFloat16 v) { return widen(v); }

template <typename T> struct Rounding { static __device__ T of(T v) { return v; } };
template <> struct Rounding<Float16> { static __device__ Float16 of(float v) { return to_float16(v); } };
template <> struct Rounding<BFloat16> { static __device__ BFloat16 of(float v) { return to_bfloat16(v); } };
// clang-format on
template <typename T>
__device__ T rounded(Wide<T> v) {
  return Rounding<T>::of(v);
}

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier
