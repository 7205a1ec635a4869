// A thin vector type over GCC's vector extensions, as wide as the instruction set allows, and the loops
// that kernels share. Included only by csrc/cpu/*.cpp: everything sits in the namespace of one
// instruction set and is internal to its object, so no weak symbol compiled for AVX-512 can be picked by
// the linker for a processor without it. For the same reason kernels here use no std templates.
//
// Vec<T>: load, store, load_partial, store_partial, fma, min, max, select, sum. Arithmetic and
// comparisons are those of the extension: a + b, a < b (a mask of all-ones integers).
#pragma once

#include <stdint.h>
#include <string.h>

#include "core/parallel.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef RANVIER_ISA
#define RANVIER_ISA baseline  // for editors; CMake sets it
#endif

#define RANVIER_INLINE inline __attribute__((always_inline))

namespace ranvier {
namespace RANVIER_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

// Vectors of T and of the signed integer of T's size, which is also what comparisons give.
// clang-format off
template <typename T> struct VecTypes;
template <> struct VecTypes<float> {
  typedef float Float __attribute__((vector_size(kVectorBytes)));
  typedef int32_t Int __attribute__((vector_size(kVectorBytes)));
  typedef int32_t Scalar;
};
template <> struct VecTypes<double> {
  typedef double Float __attribute__((vector_size(kVectorBytes)));
  typedef int64_t Int __attribute__((vector_size(kVectorBytes)));
  typedef int64_t Scalar;
};
// clang-format on
template <typename T>
using Vec = typename VecTypes<T>::Float;
template <typename T>
using IntVec = typename VecTypes<T>::Int;

template <typename T>
constexpr int kWidth = kVectorBytes / static_cast<int>(sizeof(T));

template <typename T>
RANVIER_INLINE Vec<T> broadcast(T value) {
  return value - Vec<T>{};  // value - 0 keeps the sign of -0
}

template <typename T>
RANVIER_INLINE Vec<T> load(const T* p) {
  Vec<T> v;
  memcpy(&v, p, sizeof(v));  // one unaligned move
  return v;
}

template <typename T>
RANVIER_INLINE void store(T* p, Vec<T> v) {
  memcpy(p, &v, sizeof(v));
}

// The first n lanes (0 <= n <= width); the others read as zero and are left unwritten.
template <typename T>
RANVIER_INLINE Vec<T> load_partial(const T* p, int64_t n);
template <typename T>
RANVIER_INLINE void store_partial(T* p, Vec<T> v, int64_t n);

#if defined(__AVX512F__)
template <>
RANVIER_INLINE Vec<float> load_partial(const float* p, int64_t n) {
  return (Vec<float>)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
template <>
RANVIER_INLINE Vec<double> load_partial(const double* p, int64_t n) {
  return (Vec<double>)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
template <>
RANVIER_INLINE void store_partial(float* p, Vec<float> v, int64_t n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
template <>
RANVIER_INLINE void store_partial(double* p, Vec<double> v, int64_t n) {
  _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
RANVIER_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
RANVIER_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
// The masked form: GCC 12 warns of the undefined operand of the plain one.
RANVIER_INLINE Vec<float> sqrt(Vec<float> v) { return (Vec<float>)_mm512_maskz_sqrt_ps(0xffff, (__m512)v); }
RANVIER_INLINE Vec<double> sqrt(Vec<double> v) { return (Vec<double>)_mm512_maskz_sqrt_pd(0xff, (__m512d)v); }
#else
#if defined(__AVX2__)
// Lanes below n have the sign bit that masked moves look at.
RANVIER_INLINE IntVec<float> lanes_below(float, int64_t n) {
  return (int32_t)n - IntVec<float>{} > IntVec<float>{0, 1, 2, 3, 4, 5, 6, 7};
}
RANVIER_INLINE IntVec<double> lanes_below(double, int64_t n) {
  return n - IntVec<double>{} > IntVec<double>{0, 1, 2, 3};
}
template <>
RANVIER_INLINE Vec<float> load_partial(const float* p, int64_t n) {
  return (Vec<float>)_mm256_maskload_ps(p, (__m256i)lanes_below(0.0f, n));
}
template <>
RANVIER_INLINE Vec<double> load_partial(const double* p, int64_t n) {
  return (Vec<double>)_mm256_maskload_pd(p, (__m256i)lanes_below(0.0, n));
}
template <>
RANVIER_INLINE void store_partial(float* p, Vec<float> v, int64_t n) {
  _mm256_maskstore_ps(p, (__m256i)lanes_below(0.0f, n), (__m256)v);
}
template <>
RANVIER_INLINE void store_partial(double* p, Vec<double> v, int64_t n) {
  _mm256_maskstore_pd(p, (__m256i)lanes_below(0.0, n), (__m256d)v);
}
#else
template <typename T>
RANVIER_INLINE Vec<T> load_partial(const T* p, int64_t n) {
  Vec<T> v{};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
template <typename T>
RANVIER_INLINE void store_partial(T* p, Vec<T> v, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}
#endif
#if defined(__AVX2__)
RANVIER_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
RANVIER_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
RANVIER_INLINE Vec<float> sqrt(Vec<float> v) { return (Vec<float>)_mm256_sqrt_ps((__m256)v); }
RANVIER_INLINE Vec<double> sqrt(Vec<double> v) { return (Vec<double>)_mm256_sqrt_pd((__m256d)v); }
#else
// The baseline has no fused multiply-add: two roundings.
RANVIER_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return a * b + c; }
RANVIER_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return a * b + c; }
RANVIER_INLINE Vec<float> sqrt(Vec<float> v) {
  for (int i = 0; i < kWidth<float>; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
}
RANVIER_INLINE Vec<double> sqrt(Vec<double> v) {
  for (int i = 0; i < kWidth<double>; ++i) v[i] = __builtin_sqrt(v[i]);
  return v;
}
#endif
#endif

// mask ? a : b, lane by lane.
RANVIER_INLINE Vec<float> select(IntVec<float> mask, Vec<float> a, Vec<float> b) { return mask ? a : b; }
RANVIER_INLINE Vec<double> select(IntVec<double> mask, Vec<double> a, Vec<double> b) { return mask ? a : b; }

// NaN in either operand gives NaN, as numpy.maximum and numpy.minimum.
template <typename T>
RANVIER_INLINE T scalar_max(T a, T b) {
  return (a > b || a != a) ? a : b;
}
template <typename T>
RANVIER_INLINE T scalar_min(T a, T b) {
  return (a < b || a != a) ? a : b;
}
// Chains of maxima want the longer chain as `b`: it is ready one comparison later than `a`.
#if defined(__AVX512F__)  // the instructions give their second operand where one is NaN, and for two zeros
RANVIER_INLINE Vec<float> max(Vec<float> a, Vec<float> b) {
  return (Vec<float>)_mm512_mask_max_ps((__m512)a, _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_ORD_Q), (__m512)a,
                                        (__m512)b);
}
RANVIER_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm512_mask_max_pd((__m512d)a, _mm512_cmp_pd_mask((__m512d)a, (__m512d)a, _CMP_ORD_Q), (__m512d)a,
                                         (__m512d)b);
}
RANVIER_INLINE Vec<float> min(Vec<float> a, Vec<float> b) {
  return (Vec<float>)_mm512_mask_min_ps((__m512)a, _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_ORD_Q), (__m512)a,
                                        (__m512)b);
}
RANVIER_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm512_mask_min_pd((__m512d)a, _mm512_cmp_pd_mask((__m512d)a, (__m512d)a, _CMP_ORD_Q), (__m512d)a,
                                         (__m512d)b);
}
#else
// clang-format off
RANVIER_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return select((a > b) | (a != a), a, b); }
RANVIER_INLINE Vec<double> max(Vec<double> a, Vec<double> b) { return select((a > b) | (a != a), a, b); }
RANVIER_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return select((a < b) | (a != a), a, b); }
RANVIER_INLINE Vec<double> min(Vec<double> a, Vec<double> b) { return select((a < b) | (a != a), a, b); }
// clang-format on
#endif

// Bounds that are no NaN, beyond which x does not go; a NaN in x stays. One instruction each where there is one.
#if defined(__AVX512F__)
RANVIER_INLINE Vec<float> at_least(Vec<float> x, float low) {
  return (Vec<float>)_mm512_maskz_max_ps(0xffff, _mm512_set1_ps(low), (__m512)x);
}
RANVIER_INLINE Vec<double> at_least(Vec<double> x, double low) {
  return (Vec<double>)_mm512_maskz_max_pd(0xff, _mm512_set1_pd(low), (__m512d)x);
}
RANVIER_INLINE Vec<float> at_most(Vec<float> x, float high) {
  return (Vec<float>)_mm512_maskz_min_ps(0xffff, _mm512_set1_ps(high), (__m512)x);
}
RANVIER_INLINE Vec<double> at_most(Vec<double> x, double high) {
  return (Vec<double>)_mm512_maskz_min_pd(0xff, _mm512_set1_pd(high), (__m512d)x);
}
#elif defined(__AVX2__)
// clang-format off
RANVIER_INLINE Vec<float> at_least(Vec<float> x, float low) { return (Vec<float>)_mm256_max_ps(_mm256_set1_ps(low), (__m256)x); }
RANVIER_INLINE Vec<double> at_least(Vec<double> x, double low) { return (Vec<double>)_mm256_max_pd(_mm256_set1_pd(low), (__m256d)x); }
RANVIER_INLINE Vec<float> at_most(Vec<float> x, float high) { return (Vec<float>)_mm256_min_ps(_mm256_set1_ps(high), (__m256)x); }
RANVIER_INLINE Vec<double> at_most(Vec<double> x, double high) { return (Vec<double>)_mm256_min_pd(_mm256_set1_pd(high), (__m256d)x); }
// clang-format on
#else
// clang-format off
RANVIER_INLINE Vec<float> at_least(Vec<float> x, float low) { return select(x < low, broadcast(low), x); }
RANVIER_INLINE Vec<double> at_least(Vec<double> x, double low) { return select(x < low, broadcast(low), x); }
RANVIER_INLINE Vec<float> at_most(Vec<float> x, float high) { return select(x > high, broadcast(high), x); }
RANVIER_INLINE Vec<double> at_most(Vec<double> x, double high) { return select(x > high, broadcast(high), x); }
// clang-format on
#endif

// A value that is there before what selects its lanes: else the compiler makes a load wait for the mask, and with
// it for the miss of another load.
template <typename V>
RANVIER_INLINE V ahead(V v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#endif
  return v;
}

// Stores past the caches, to aligned addresses, for outputs that they could not hold anyway: a line is not read
// before it is written. Each thread that has streamed calls finish_streaming before it says that it is done.
template <typename T>
RANVIER_INLINE bool aligned(const T* p) {
  return reinterpret_cast<uintptr_t>(p) % kVectorBytes == 0;
}
#if defined(__AVX512F__)
RANVIER_INLINE void stream(float* p, Vec<float> v) { _mm512_stream_ps(p, (__m512)v); }
RANVIER_INLINE void stream(double* p, Vec<double> v) { _mm512_stream_pd(p, (__m512d)v); }
RANVIER_INLINE void finish_streaming() { _mm_sfence(); }
#elif defined(__AVX2__)
RANVIER_INLINE void stream(float* p, Vec<float> v) { _mm256_stream_ps(p, (__m256)v); }
RANVIER_INLINE void stream(double* p, Vec<double> v) { _mm256_stream_pd(p, (__m256d)v); }
RANVIER_INLINE void finish_streaming() { _mm_sfence(); }
#else
RANVIER_INLINE void stream(float* p, Vec<float> v) { store(p, v); }
RANVIER_INLINE void stream(double* p, Vec<double> v) { store(p, v); }
RANVIER_INLINE void finish_streaming() {}
#endif

// Sum of all lanes as a balanced tree: its order depends on the width alone.
template <typename T>
RANVIER_INLINE T sum_lanes(Vec<T> v) {
  T lanes[kWidth<T>];
  store(lanes, v);
  for (int half = kWidth<T> / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

template <typename T>
RANVIER_INLINE T max_lanes(Vec<T> v) {
  T lanes[kWidth<T>];
  store(lanes, v);
  T best = lanes[0];
  for (int i = 1; i < kWidth<T>; ++i) best = scalar_max(best, lanes[i]);
  return best;
}

RANVIER_INLINE int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
RANVIER_INLINE int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }
RANVIER_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// parallel_for with any callable: parallel(0, rows, grain, [&](int64_t begin, int64_t end) { ... }).
template <typename Body>
RANVIER_INLINE void parallel(int64_t begin, int64_t end, int64_t grain, const Body& body) {
  parallel_for(
      begin, end, grain,
      [](int64_t from, int64_t to, void* context) { (*static_cast<const Body*>(context))(from, to); },
      const_cast<Body*>(&body));
}

// Rows a chunk should hold so that it does some tens of microseconds of work.
RANVIER_INLINE int64_t grain_for(int64_t work_per_item) {
  constexpr int64_t kWorkPerChunk = 16384;
  return max_of(1, kWorkPerChunk / max_of(1, work_per_item));
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
