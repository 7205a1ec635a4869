// Sigmoid and tanh of gates. In float32 they are cheaper than those of simd_math.h, at about the same absolute error
// (2e-7, measured over the whole range): an LSTM computes five for every unit and step, a quarter of its time else.
// sigmoid's relative error grows with -x where it comes near zero: to |x| * 1e-7.
#pragma once

#include "cpu/simd_math.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// x within low .. high; a NaN stays.
RANVIER_INLINE Vec<float> limited(Vec<float> x, float low, float high) {
#if defined(__AVX512F__)  // min and max return their second operand where one is NaN
  const __m512 below = _mm512_maskz_min_ps(0xffff, (__m512)broadcast(high), (__m512)x);
  return (Vec<float>)_mm512_maskz_max_ps(0xffff, (__m512)broadcast(low), below);
#elif defined(__AVX2__)
  return (Vec<float>)_mm256_max_ps((__m256)broadcast(low), _mm256_min_ps((__m256)broadcast(high), (__m256)x));
#else
  return clamp<float>(x, low, high);
#endif
}

// 1 / (1 + 2^t) with t = -x log2(e) = n + f, |f| <= 1/2, and 2^f by its interpolant at Chebyshev points.
RANVIER_INLINE Vec<float> gate_sigmoid(Vec<float> x) {
  constexpr float kTerms[] = {0x1.000002p+0f, 0x1.62e430p-1f, 0x1.ebf906p-3f,
                              0x1.c6af6cp-5f, 0x1.3d1070p-7f, 0x1.5f0890p-10f};
  const Vec<float> a = limited(x, -86, 86), scale = broadcast(-1.44269504f);
  const Vec<float> shifted = fma(a, scale, broadcast(MathConstants<float>::kRound));
  const Vec<float> n = shifted - MathConstants<float>::kRound;
  const Vec<float> y = polynomial<float>(fma(a, scale, -n), kTerms);
#if defined(__AVX512F__)
  const Vec<float> power = (Vec<float>)_mm512_maskz_scalef_ps(0xffff, (__m512)y, (__m512)n);
#else
  // n is in the low bits of `shifted`; of a NaN there may be anything, hence n - n
  const Vec<float> power = (Vec<float>)((IntVec<float>)y + ((IntVec<float>)shifted << 23)) + (n - n);
#endif
  return 1.0f / (1.0f + power);
}
RANVIER_INLINE Vec<double> gate_sigmoid(Vec<double> x) { return sigmoid(x); }

// x P(x^2) / Q(x^2), a rational minimax fit of relative error 2e-8 up to where tanh is 1.
RANVIER_INLINE Vec<float> gate_tanh(Vec<float> x) {
  constexpr float kAbove[] = {1.0f, 0x1.120404p-3f, 0x1.c9f686p-9f, 0x1.59517ap-16f, 0x1.c998b8p-27f};
  constexpr float kBelow[] = {1.0f, 0x1.de574cp-2f, 0x1.a7de4ap-6f, 0x1.583f72p-12f, 0x1.a0b14ap-21f};
  const Vec<float> a = limited(x, -9.02f, 9.02f), square = a * a;
  return limited(a * polynomial<float>(square, kAbove) / polynomial<float>(square, kBelow), -1, 1);
}
RANVIER_INLINE Vec<double> gate_tanh(Vec<double> x) { return tanh(x); }

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
