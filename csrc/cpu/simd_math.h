// Transcendental functions on Vec<float> and Vec<double>: one generic source for all instruction sets.
//
// Largest errors in units in the last place over the whole range, which tests/cpu/test_simd_math.py
// measures on every instruction set:  exp 2, expm1 3, log 2, log1p 3, tanh 4, sigmoid 4, erf 4.
// Denormals, overflow, Inf and NaN come out as in libm. Where an error would be amplified, arguments are
// reduced in two terms, so that the baseline, which has no fused multiply-add, keeps these bounds too.
//
// The polynomials are interpolants at Chebyshev points of the functions named beside them; those of the
// logarithm are fdlibm's.
#pragma once

#include <math.h>

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// --- numbers of each type -----------------------------------------------------------------------------

template <typename T>
struct MathConstants;

template <>
struct MathConstants<float> {
  typedef uint32_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr int kMantissa = 23, kBias = 127;
  static constexpr float kRound = 0x1.8p23f;             // adding it rounds to an integer, kept in the low bits
  static constexpr float kLn2High = 0x1.63p-1f;          // few bits: n * kLn2High is exact
  static constexpr float kLn2Low = -0x1.bd0106p-13f;     // ln 2 - kLn2High
  static constexpr float kExpLow = -104, kExpHigh = 89;  // e to these is 0 and Inf
  static constexpr float kExpm1Low = -20;                // e to this is lost beside 1
  static constexpr float kTanhHigh = 10;                 // tanh of this is 1
  static constexpr float kErfHigh = 4;                   // erf of this is 1
  static constexpr float kErfScale = 2;
  static constexpr float kTiny = 0x1p-126f, kToNormal = 0x1p25f;
  static constexpr int kToNormalShift = 25;
  static constexpr int32_t kSqrtHalf = 0x3f3504f3, kOne = 0x3f800000;
  static constexpr float kLogLn2High = 0x1.62e3p-1f, kLogLn2Low = 0x1.2fefa2p-17f;
  // (e^r - 1 - r) / r^2 on |r| <= ln(2)/2
  static constexpr float kExp[] = {0.5f, 0.16666576266288757f, 0.041666556149721146f, 0.008363178931176662f,
                                   0.0013926184037700295f};
  static constexpr float kLog[] = {0xaaaaaa.0p-24f, 0xccce13.0p-25f, 0x91e9ee.0p-25f, 0xf89e26.0p-26f};
  // erf(x)/x - 1 by x^2 on [0, 1]
  static constexpr float kErfSmall[] = {0.12837916612625122f,  -0.3761262595653534f,  0.11283594369888306f,
                                        -0.02685421146452427f, 0.005189087241888046f, -0.000801686430349946f,
                                        7.875874871388078e-05f};
  // erfc(x) * e^(x^2) by 1 / (1 + x/2) for 1 <= x <= 4
  static constexpr float kErfLarge[] = {-0.00016423639317508787f, 0.28506162762641907f,  0.25875136256217957f,
                                        0.3510303199291229f,      -0.11020829528570175f, 0.5712651610374451f,
                                        -0.47652527689933777f,    0.12085243314504623f};
};

template <>
struct MathConstants<double> {
  typedef uint64_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr int kMantissa = 52, kBias = 1023;
  static constexpr double kRound = 0x1.8p52;
  static constexpr double kLn2High = 0x1.62e42feep-1;
  static constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  static constexpr double kExpLow = -746, kExpHigh = 710;
  static constexpr double kExpm1Low = -45;
  static constexpr double kTanhHigh = 22;
  static constexpr double kErfHigh = 6;
  static constexpr double kErfScale = 3;
  static constexpr double kTiny = 0x1p-1022, kToNormal = 0x1p54;
  static constexpr int kToNormalShift = 54;
  static constexpr int64_t kSqrtHalf = 0x3fe6a09e667f3bcd, kOne = 0x3ff0000000000000;
  static constexpr double kLogLn2High = kLn2High, kLogLn2Low = kLn2Low;
  static constexpr double kExp[] = {0x1.0000000000001p-1,  0x1.5555555555556p-3,  0x1.5555555553d63p-5,
                                    0x1.11111111109b3p-7,  0x1.6c16c1788bd90p-10, 0x1.a01a01a7c41d5p-13,
                                    0x1.a019b90d2ae7ap-16, 0x1.71de0dae63bb3p-19, 0x1.289185613a3d6p-22,
                                    0x1.af38a9b0ec855p-26};
  static constexpr double kLog[] = {6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                                    2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                                    1.479819860511658591e-01};
  static constexpr double kErfSmall[] = {0x1.06eba8214db68p-3,   -0x1.812746b0379c1p-2,  0x1.ce2f21a040f66p-4,
                                         -0x1.b82ce31203772p-6,  0x1.565bccfa44156p-8,   -0x1.c02db0665e53dp-11,
                                         0x1.f9a2be4f731a1p-14,  -0x1.f4ca838adb73bp-17, 0x1.b981d78881a5dp-20,
                                         -0x1.5c131500d3f88p-23, 0x1.d76af6ca49787p-27,  -0x1.ac9585a44fe29p-31};
  // erfc(x) * e^(x^2) by 1 / (1 + x/3) for 1 <= x <= 6
  static constexpr double kErfLarge[] = {
      0x1.8bc9e4d99c45bp-22, 0x1.81212fc952070p-3,  0x1.818067e2e3a21p-3, 0x1.689df72224d24p-3,
      0x1.5471e990da206p-3,  0x1.5870c7fc90c87p-4,  0x1.e88342ae61032p-3, -0x1.4a474e7e2a7b8p-2,
      0x1.9014c93f13e04p-1,  -0x1.23f6e37d29cb6p+0, 0x1.498323ea793b2p+0, -0x1.0f10fddea340cp+0,
      0x1.1cc195bd7ade7p-1,  -0x1.535903ccbf2f0p-3, 0x1.6406cb7132f8bp-6, -0x1.d0badb83f2cadp-14};
};

// c[0] + c[1] x + ... (Horner)
template <typename T, int kTerms>
RANVIER_INLINE Vec<T> polynomial(Vec<T> x, const T (&c)[kTerms]) {
  Vec<T> sum = broadcast<T>(c[kTerms - 1]);
#pragma GCC unroll 16
  for (int i = kTerms - 2; i >= 0; --i) sum = fma(sum, x, broadcast<T>(c[i]));
  return sum;
}

// 2^k for k within the normal exponents.
template <typename T>
RANVIER_INLINE Vec<T> power_of_two(IntVec<T> k) {
  typedef MathConstants<T> C;
  return (Vec<T>)((k + C::kBias) << C::kMantissa);
}

template <typename T>
RANVIER_INLINE Vec<T> magnitude(Vec<T> x) {
  typedef typename VecTypes<T>::Scalar I;
  return (Vec<T>)((IntVec<T>)x & I(~(uint64_t(1) << (8 * sizeof(T) - 1))));
}

template <typename T>
RANVIER_INLINE Vec<T> with_sign_of(Vec<T> x, Vec<T> sign) {
  const IntVec<T> bit = (IntVec<T>)broadcast<T>(T(-0.0));
  return (Vec<T>)((IntVec<T>)x | ((IntVec<T>)sign & bit));
}

template <typename T>
RANVIER_INLINE Vec<T> clamp(Vec<T> x, T low, T high) {  // a NaN stays
  return at_least(at_most(x, high), low);
}

// --- exponentials ---------------------------------------------------------------------------------------

// x = n ln 2 + r with |r| <= ln(2)/2; n is a whole number, and the low bits of n + kRound.
template <typename T>
struct ReducedExponent {
  Vec<T> r, n_shifted;
  RANVIER_INLINE Vec<T> n() const { return n_shifted - MathConstants<T>::kRound; }
  RANVIER_INLINE IntVec<T> k() const {
    return (IntVec<T>)n_shifted - (IntVec<T>)broadcast<T>(MathConstants<T>::kRound);
  }
};

template <typename T>
RANVIER_INLINE ReducedExponent<T> reduce_exponent(Vec<T> x) {
  typedef MathConstants<T> C;
  ReducedExponent<T> e;
  e.n_shifted = fma(x, broadcast<T>(T(M_LOG2E)), broadcast<T>(C::kRound));
  e.r = fma(e.n(), broadcast<T>(-C::kLn2Low), fma(e.n(), broadcast<T>(-C::kLn2High), x));
  return e;
}

// y * 2^n with one rounding, for any n that a finite result may need.
template <typename T>
RANVIER_INLINE Vec<T> scale_by_power(Vec<T> y, const ReducedExponent<T>& e);
#if defined(__AVX512F__)
template <>
RANVIER_INLINE Vec<float> scale_by_power<float>(Vec<float> y, const ReducedExponent<float>& e) {
  return (Vec<float>)_mm512_maskz_scalef_ps(0xffff, (__m512)y, (__m512)e.n());
}
template <>
RANVIER_INLINE Vec<double> scale_by_power<double>(Vec<double> y, const ReducedExponent<double>& e) {
  return (Vec<double>)_mm512_maskz_scalef_pd(0xff, (__m512d)y, (__m512d)e.n());
}
#else
template <typename T>
RANVIER_INLINE Vec<T> scale_by_power(Vec<T> y, const ReducedExponent<T>& e) {  // of two steps the last alone rounds
  typedef MathConstants<T> C;
  const IntVec<T> k = e.k(), half = (IntVec<T>)((typename C::Bits)(k + 4 * C::kBias) >> 1) - 2 * C::kBias;
  return y * power_of_two<T>(half) * power_of_two<T>(k - half);
}
#endif

// e^x for x from where it is 0 to where it is Inf.
template <typename T>
RANVIER_INLINE Vec<T> exp_within(Vec<T> x) {
  const ReducedExponent<T> e = reduce_exponent<T>(x);
  return scale_by_power<T>(T(1) + fma(e.r * e.r, polynomial<T>(e.r, MathConstants<T>::kExp), e.r), e);
}

template <typename T>
RANVIER_INLINE Vec<T> exp_of(Vec<T> x) {
  typedef MathConstants<T> C;
  return exp_within<T>(clamp<T>(x, C::kExpLow, C::kExpHigh));
}

// e^x for x <= 0 or NaN.
template <typename T>
RANVIER_INLINE Vec<T> decay_of(Vec<T> x) {
  return exp_within<T>(at_least(x, MathConstants<T>::kExpLow));
}

// e^x - 1 for x >= kExpm1Low or NaN.
template <typename T>
RANVIER_INLINE Vec<T> expm1_above(Vec<T> x) {
  const ReducedExponent<T> e = reduce_exponent<T>(x);
  const Vec<T> y = fma(e.r * e.r, polynomial<T>(e.r, MathConstants<T>::kExp), e.r);  // e^r - 1
  const Vec<T> half = power_of_two<T>(e.k() - 1);                                    // 2^k itself may be too large
  return fma(half, y, half - T(0.5)) * T(2);
}

template <typename T>
RANVIER_INLINE Vec<T> expm1_of(Vec<T> x) {
  typedef MathConstants<T> C;
  return expm1_above<T>(clamp<T>(x, C::kExpm1Low, C::kExpHigh));
}

// 1 / (1 + e^-x), from the exponential that cannot overflow.
template <typename T>
RANVIER_INLINE Vec<T> sigmoid_of(Vec<T> x) {
  const Vec<T> e = decay_of<T>(-magnitude<T>(x));
  return select(x < T(0), e, broadcast<T>(1)) / (T(1) + e);
}

// -t / (t + 2) with t = e^(-2|x|) - 1: no cancellation anywhere.
template <typename T>
RANVIER_INLINE Vec<T> tanh_of(Vec<T> x) {
  const Vec<T> a = at_most(magnitude<T>(x), MathConstants<T>::kTanhHigh);
  const Vec<T> t = expm1_above<T>(T(-2) * a);
  return with_sign_of<T>(magnitude<T>(t) / (t + T(2)), x);
}

// --- logarithms -----------------------------------------------------------------------------------------

// fdlibm's: x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) by s = f / (2 + f).
template <typename T>
RANVIER_INLINE Vec<T> log_of(Vec<T> x) {
  typedef MathConstants<T> C;
  const IntVec<T> denormal = x < C::kTiny;
  const Vec<T> scaled = select(denormal, x * C::kToNormal, x);
  const IntVec<T> bits = (IntVec<T>)scaled + (C::kOne - C::kSqrtHalf);
  const IntVec<T> k = (IntVec<T>)((typename C::Bits)bits >> C::kMantissa) - C::kBias - (denormal & C::kToNormalShift);
  const IntVec<T> mantissa = bits & ((typename VecTypes<T>::Scalar(1) << C::kMantissa) - 1);
  const Vec<T> n = (Vec<T>)(k + (IntVec<T>)broadcast<T>(C::kRound)) - C::kRound;
  const Vec<T> f = (Vec<T>)(mantissa + C::kSqrtHalf) - T(1);
  const Vec<T> s = f / (f + T(2)), z = s * s, half = T(0.5) * f * f;
  const Vec<T> tail = s * fma(z, polynomial<T>(z, C::kLog), half) + n * C::kLogLn2Low;
  const Vec<T> y = fma(n, broadcast<T>(C::kLogLn2High), f - (half - tail));
  const Vec<T> outside = select(x == T(0), broadcast<T>(T(-INFINITY)), broadcast<T>(T(NAN)));
  return select(x == T(INFINITY), x, select(x > T(0), y, outside));
}

// log(1 + x): what 1 + x loses in rounding is given back (Kahan).
template <typename T>
RANVIER_INLINE Vec<T> log1p_of(Vec<T> x) {
  const Vec<T> u = x + T(1);
  const Vec<T> lost = select(x < T(1), x - (u - T(1)), T(1) - (u - x));
  return log_of<T>(u) + select((u > T(0)) & (u < T(INFINITY)), lost / u, broadcast<T>(0));
}

// --- the error function ---------------------------------------------------------------------------------

// Odd polynomial up to 1; beyond, 1 - e^(-x^2) times a polynomial for the slow rest.
template <typename T>
RANVIER_INLINE Vec<T> erf_of(Vec<T> x) {
  typedef MathConstants<T> C;
  const Vec<T> a = at_most(magnitude<T>(x), C::kErfHigh), square = a * a;
  const Vec<T> small = fma(a, polynomial<T>(square, C::kErfSmall), a);
  const Vec<T> u = C::kErfScale / (C::kErfScale + a);
  const Vec<T> large = T(1) - decay_of<T>(-square) * polynomial<T>(u, C::kErfLarge);
  return with_sign_of<T>(select(a < T(1), small, large), x);
}

// Vec<T> is no context from which T could be deduced, hence the pairs.
#define RANVIER_BOTH(name)                                                     \
  RANVIER_INLINE Vec<float> name(Vec<float> x) { return name##_of<float>(x); } \
  RANVIER_INLINE Vec<double> name(Vec<double> x) { return name##_of<double>(x); }
RANVIER_BOTH(exp)
RANVIER_BOTH(decay)
RANVIER_BOTH(expm1)
RANVIER_BOTH(log)
RANVIER_BOTH(log1p)
RANVIER_BOTH(tanh)
RANVIER_BOTH(sigmoid)
RANVIER_BOTH(erf)
#undef RANVIER_BOTH

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
