// Vectors as lanes of 16 bytes: transposition of small blocks and sums of several vectors at once.
#pragma once

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

constexpr int kLanes = kVectorBytes / 16;
template <typename T>
constexpr int kPerLane = 16 / static_cast<int>(sizeof(T));
template <typename T>
struct LaneTypes {
  typedef T Type __attribute__((vector_size(16)));
};
template <typename T>
using Lane = typename LaneTypes<T>::Type;

// Lane l from p + l * step.
template <typename T>
RANVIER_INLINE Vec<T> load_lanes(const T* p, int64_t step) {
#if defined(__AVX512F__)
  __m512 v = _mm512_castps128_ps512(_mm_loadu_ps((const float*)p));
  v = _mm512_insertf32x4(v, _mm_loadu_ps((const float*)(p + step)), 1);
  v = _mm512_insertf32x4(v, _mm_loadu_ps((const float*)(p + 2 * step)), 2);
  v = _mm512_insertf32x4(v, _mm_loadu_ps((const float*)(p + 3 * step)), 3);
  return (Vec<T>)v;
#elif defined(__AVX2__)
  const __m256 v = _mm256_castps128_ps256(_mm_loadu_ps((const float*)p));
  return (Vec<T>)_mm256_insertf128_ps(v, _mm_loadu_ps((const float*)(p + step)), 1);
#else
  (void)step;
  return load(p);
#endif
}

// Within each lane: the first (second) halves of a and b, one element of each in turn; or half by half.
// clang-format off
#if defined(__AVX512F__)
RANVIER_INLINE Vec<float> unpack_low(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm512_unpacklo_ps((__m512)a, (__m512)b); }
RANVIER_INLINE Vec<float> unpack_high(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm512_unpackhi_ps((__m512)a, (__m512)b); }
RANVIER_INLINE Vec<double> unpack_low(Vec<double> a, Vec<double> b) { return (Vec<double>)_mm512_unpacklo_pd((__m512d)a, (__m512d)b); }
RANVIER_INLINE Vec<double> unpack_high(Vec<double> a, Vec<double> b) { return (Vec<double>)_mm512_unpackhi_pd((__m512d)a, (__m512d)b); }
#elif defined(__AVX2__)
RANVIER_INLINE Vec<float> unpack_low(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm256_unpacklo_ps((__m256)a, (__m256)b); }
RANVIER_INLINE Vec<float> unpack_high(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm256_unpackhi_ps((__m256)a, (__m256)b); }
RANVIER_INLINE Vec<double> unpack_low(Vec<double> a, Vec<double> b) { return (Vec<double>)_mm256_unpacklo_pd((__m256d)a, (__m256d)b); }
RANVIER_INLINE Vec<double> unpack_high(Vec<double> a, Vec<double> b) { return (Vec<double>)_mm256_unpackhi_pd((__m256d)a, (__m256d)b); }
#else
RANVIER_INLINE Vec<float> unpack_low(Vec<float> a, Vec<float> b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
RANVIER_INLINE Vec<float> unpack_high(Vec<float> a, Vec<float> b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
RANVIER_INLINE Vec<double> unpack_low(Vec<double> a, Vec<double> b) { return __builtin_shufflevector(a, b, 0, 2); }
RANVIER_INLINE Vec<double> unpack_high(Vec<double> a, Vec<double> b) { return __builtin_shufflevector(a, b, 1, 3); }
#endif
RANVIER_INLINE Vec<float> low_halves(Vec<float> a, Vec<float> b) { return (Vec<float>)unpack_low((Vec<double>)a, (Vec<double>)b); }
RANVIER_INLINE Vec<float> high_halves(Vec<float> a, Vec<float> b) { return (Vec<float>)unpack_high((Vec<double>)a, (Vec<double>)b); }
// clang-format on

// kPerLane columns of kWidth rows `ld` apart become rows `width` apart.
RANVIER_INLINE void transpose_lanes(const float* from, int64_t ld, float* to, int64_t width) {
  Vec<float> r[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) r[i] = load_lanes(from + i * ld, 4 * ld);
  const Vec<float> low01 = unpack_low(r[0], r[1]), low23 = unpack_low(r[2], r[3]);
  const Vec<float> high01 = unpack_high(r[0], r[1]), high23 = unpack_high(r[2], r[3]);
  // Lane l of r[i] is row 4 l + i for four columns; of a result, rows 4 l to 4 l + 3 of one column.
  store(to, low_halves(low01, low23));
  store(to + width, high_halves(low01, low23));
  store(to + 2 * width, low_halves(high01, high23));
  store(to + 3 * width, high_halves(high01, high23));
}

RANVIER_INLINE void transpose_lanes(const double* from, int64_t ld, double* to, int64_t width) {
  const Vec<double> even = load_lanes(from, 2 * ld), odd = load_lanes(from + ld, 2 * ld);
  store(to, unpack_low(even, odd));
  store(to + width, unpack_high(even, odd));
}

// The sum of the lanes.
template <typename T>
RANVIER_INLINE Lane<T> fold_lanes(Vec<T> v) {
  Lane<T> lanes[kLanes];
  memcpy(lanes, &v, sizeof(v));
#pragma GCC unroll 4
  for (int half = kLanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 4
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

// Four sums, each of one vector's elements, in an order that depends on the width alone.
RANVIER_INLINE void four_sums(const Vec<float> (&v)[4], float* out) {
  const Vec<float> v01 = unpack_low(v[0], v[1]) + unpack_high(v[0], v[1]);
  const Vec<float> v23 = unpack_low(v[2], v[3]) + unpack_high(v[2], v[3]);
  const Lane<float> sums = fold_lanes<float>(low_halves(v01, v23) + high_halves(v01, v23));
  memcpy(out, &sums, sizeof(sums));
}

RANVIER_INLINE void four_sums(const Vec<double> (&v)[4], double* out) {
#pragma GCC unroll 2
  for (int i = 0; i < 4; i += 2) {
    const Lane<double> sums = fold_lanes<double>(unpack_low(v[i], v[i + 1]) + unpack_high(v[i], v[i + 1]));
    memcpy(out + i, &sums, sizeof(sums));
  }
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
