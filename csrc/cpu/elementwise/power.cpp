// power: float32 by vectors, float64 by libm, integers by squaring. The vectors are of float where products can be had
// exactly (fma), which is off by 3 ULP at most (where exponents
// are small, by 1.3); else of double. (Compiled without contraction, for the exact sums.)
#include "cpu/elementwise/walk.h"
#include "cpu/row.h"

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

// The exponents that are nearly all that are ever used. The roots of -0 and -Inf are 0 and Inf, as C's pow says.
template <typename T>
RANVIER_INLINE bool power_shortcut(T p, T q, T& y) {
  if (q == T(1)) y = p;
  if (q == T(2)) y = p * p;
  if (q == T(3)) y = T(double(p) * p * p);
  if (q == T(-1)) y = 1 / p;
  if (q == T(0.5)) y = p == -INFINITY ? T(INFINITY) : T(::sqrt(p + T(0)));
  return q == T(1) || q == T(2) || q == T(3) || q == T(-1) || q == T(0.5);
}

// The same for a run of bases and one exponent, which is looked at once.
template <typename T>
bool powers_of(const T* p, int64_t step, T q, T* y, int64_t count) {
  const auto run = [&](const auto& of) {
    for (int64_t i = 0; i < count; ++i) y[i] = of(p[i * step]);
    return true;
  };
  if (q == T(1)) return run([](T v) { return v; });
  if (q == T(2)) return run([](T v) { return v * v; });
  if (q == T(3)) return run([](T v) { return T(double(v) * v * v); });
  if (q == T(-1)) return run([](T v) { return 1 / v; });
  T unused;
  if (!power_shortcut(T(1), q, unused)) return false;
  for (int64_t i = 0; i < count; i += step == 0 ? 1 : kWidth<T>) {
    const int64_t lanes = step == 0 ? 1 : min_of(kWidth<T>, count - i);
    const Vec<T> v = load_some(p + i * step, lanes);
    store_some(y + i, select(v == T(-INFINITY), broadcast<T>(INFINITY), sqrt(v + Vec<T>{})), lanes);
  }
  return true;
}

void power64(const void* a, const void* b, void* y, const Broadcast& shape) {
  const int last = shape.axes - 1;
  const int64_t step_a = shape.strides[0][last], step_b = shape.strides[1][last];
  each_run(shape, [&](const int64_t* offsets, int64_t out, int64_t count) {
    const double* p = static_cast<const double*>(a) + offsets[0];
    const double* q = static_cast<const double*>(b) + offsets[1];
    double* r = static_cast<double*>(y) + out;
    if (step_b == 0 && powers_of(p, step_a, *q, r, count)) return;
    for (int64_t i = 0; i < count; ++i) {
      const double base = p[i * step_a], exponent = q[i * step_b];
      if (!power_shortcut(base, exponent, r[i])) r[i] = ::pow(base, exponent);
    }
  });
}

#if defined(__AVX2__) || defined(__AVX512F__)

// A number as the sum of two floats, of which the second is small.
struct Pair {
  Vec<float> high, low;
};

// high + low, exactly, for |a| >= |b| (Dekker).
RANVIER_INLINE Pair fast_sum(Vec<float> a, Vec<float> b) {
  const Vec<float> high = a + b;
  return {high, b - (high - a)};
}

// log2 a for a > 0 to some 2^-31 of itself: a = 2^k m with m in [sqrt(1/2), sqrt(2)), and
// log2 m = 2/ln 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1), whose rounding is kept.
RANVIER_INLINE Pair log2_pair(Vec<float> a) {
  typedef MathConstants<float> C;
  constexpr float kScale = 0x1.7154760000000p+1f, kScaleLow = 0x1.4ae0c00000000p-25f;  // 2 / ln 2
  // (atanh(s)/s - 1) / s^2 by s^2 on |s| <= (sqrt(2) - 1) / (sqrt(2) + 1)
  static constexpr float kAtanh[] = {0.3333333432674408f, 0.19999998807907104f, 0.14285877346992493f,
                                     0.11095684766769409f, 0.09681634604930878f};
  const IntVec<float> denormal = a < C::kTiny;
  const Vec<float> scaled = select(denormal, a * C::kToNormal, a);
  const IntVec<float> bits = (IntVec<float>)scaled - C::kSqrtHalf;
  const IntVec<float> k = (bits >> C::kMantissa) - (denormal & C::kToNormalShift);
  const Vec<float> m = (Vec<float>)((bits & 0x7fffff) + C::kSqrtHalf), n = __builtin_convertvector(k, Vec<float>);
  const Vec<float> f = m - 1.0f, d = m + 1.0f, d_low = m - (d - 1.0f), inverse = 1.0f / d;
  const Vec<float> s = f * inverse, z = s * s;
  const Vec<float> s_low = (fma(-s, d, f) - s * d_low) * inverse;
  const Vec<float> rest = fma(s * z, polynomial<float>(z, kAtanh), fma(s_low, z, s_low));  // the slope is 1 + s^2 + ...
  const Vec<float> high = s * kScale;
  const Vec<float> low = fma(rest, broadcast(kScale), fma(s, broadcast(kScaleLow), fma(s, broadcast(kScale), -high)));
  const Pair whole = fast_sum(n, high);
  return fast_sum(whole.high, whole.low + low);
}

// 2^(q log2 |p|), then C's rules for signs, ones and Inf.
RANVIER_INLINE Vec<float> narrow_power(Vec<float> p, Vec<float> q) {
  typedef MathConstants<float> C;
  typedef IntVec<float> Mask;
  const Vec<float> a = magnitude<float>(p), one = broadcast(1.0f);
  const Pair logarithm = log2_pair(a);
  const Vec<float> high = select(a == 0.0f, broadcast(-INFINITY), select(a < INFINITY, logarithm.high, a));
  const Vec<float> x = q * high;
  const Vec<float> lost = fma(q, logarithm.low, fma(q, high, -x));
  const Vec<float> shifted = x + C::kRound, n = shifted - C::kRound;
  const Vec<float> r = ((x - n) + lost) * 0x1.62e4300000000p-1f;
  const ReducedExponent<float> e{r, shifted};
  Vec<float> y = scale_by_power<float>(1.0f + fma(r * r, polynomial<float>(r, C::kExp), r), e);
  const Mask within = magnitude<float>(x) < 200.0f;
  y = select(within, y, select(x < 0.0f, Vec<float>{}, x * INFINITY));  // NaN stays
  const Vec<float> size = at_most(magnitude<float>(q), 0x1p24f);        // from which on all floats are even
  const Mask truncated = __builtin_convertvector(size, Mask);
  const Mask whole = __builtin_convertvector(truncated, Vec<float>) == size;
  const Mask sign = (Mask)p & whole & (truncated << 31);
  y = (Vec<float>)((Mask)select((a == 1.0f) & (q == q), one, y) | sign);
  y = select((p < 0.0f) & (p > -INFINITY) & ~whole & (q == q), broadcast(NAN), y);
  return select((q == 0.0f) | (p == 1.0f), one, y);
}

RANVIER_INLINE Vec<float> load_stepped(const float* p, int64_t step, int64_t lanes) {
  return step == 0 ? broadcast(*p) : load_some(p, lanes);
}

RANVIER_INLINE void powers(const float* p, int64_t step_p, const float* q, int64_t step_q, float* r, int64_t count) {
  each_vector<float>(count, [&](int64_t i, int64_t lanes) RANVIER_INLINED {
    const Vec<float> base = load_stepped(p + i * step_p, step_p, lanes);
    store_some(r + i, narrow_power(base, load_stepped(q + i * step_q, step_q, lanes)), lanes);
  });
}

#else

// e^(q log|p|) in double: far more digits than float32 keeps. Then C's rules for signs, ones and Inf. The
// exponents come from float32, so that those from 2^24 on are even.
RANVIER_INLINE Vec<double> wide_power(Vec<double> p, Vec<double> q) {
  typedef IntVec<double> Mask;
  const Vec<double> a = magnitude<double>(p), one = broadcast<double>(1), round = broadcast<double>(0x1.8p52);
  const Vec<double> h = q * 0.5;
  const Mask large = magnitude<double>(q) >= 0x1p24;
  const Mask whole = large | ((q + round) - round == q);
  const Mask odd = whole & ~large & ((h + round) - round != h);
  Vec<double> y = exp(q * log(a));
  y = select((a == 1.0) & (q == q), one, y);
  y = select(odd, with_sign_of<double>(y, p), y);
  y = select((p < 0.0) & (p > -INFINITY) & ~whole & (q == q), broadcast<double>(NAN), y);
  return select((q == 0.0) | (p == 1.0), one, y);
}

// float32 in memory, float64 in registers; a step of 0 repeats one number.
typedef float NarrowVec __attribute__((vector_size(kVectorBytes / 2)));

RANVIER_INLINE Vec<double> load_widened(const float* p, int64_t step, int64_t lanes) {
  if (step == 0) return broadcast<double>(*p);
  NarrowVec narrow{};
  memcpy(&narrow, p, sizeof(float) * static_cast<size_t>(lanes));
  return __builtin_convertvector(narrow, Vec<double>);
}

RANVIER_INLINE void store_narrowed(float* p, Vec<double> v, int64_t lanes) {
  const NarrowVec narrow = __builtin_convertvector(v, NarrowVec);
  memcpy(p, &narrow, sizeof(float) * static_cast<size_t>(lanes));
}

RANVIER_INLINE void powers(const float* p, int64_t step_p, const float* q, int64_t step_q, float* r, int64_t count) {
  each_vector<double>(count, [&](int64_t i, int64_t lanes) RANVIER_INLINED {
    const Vec<double> base = load_widened(p + i * step_p, step_p, lanes);
    store_narrowed(r + i, wide_power(base, load_widened(q + i * step_q, step_q, lanes)), lanes);
  });
}

#endif

void power32(const void* a, const void* b, void* y, const Broadcast& shape) {
  const int last = shape.axes - 1;
  const int64_t step_a = shape.strides[0][last], step_b = shape.strides[1][last];
  each_run(shape, [&](const int64_t* offsets, int64_t out, int64_t count) {
    const float* p = static_cast<const float*>(a) + offsets[0];
    const float* q = static_cast<const float*>(b) + offsets[1];
    float* r = static_cast<float*>(y) + out;
    if (step_b == 0 && powers_of(p, step_a, *q, r, count)) return;
    powers(p, step_a, q, step_b, r, count);
  });
}

}  // namespace

void elementwise_power(DType dtype, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (dtype) {
    case DType::Float32: return power32(a, b, y, shape);
    case DType::Float64: return power64(a, b, y, shape);
    case DType::Int32: return binary_loop<int32_t, int32_t>(a, b, y, shape, integer_power<int32_t, uint32_t>);
    case DType::Int64: return binary_loop<int64_t, int64_t>(a, b, y, shape, integer_power<int64_t, uint64_t>);
    default: return binary_loop<uint8_t, uint8_t>(a, b, y, shape, integer_power<uint8_t, uint32_t>);
  }
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
