// What the kernels over rows of scores share: a row's maximum, and the sum of its exponentials.
#pragma once

#include <math.h>

#include "cpu/simd.h"
#include "cpu/simd_math.h"

#define RANVIER_INLINED __attribute__((always_inline))  // after a lambda's arguments

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// The first n lanes of v (0 <= n <= width); the others become zero.
template <typename T>
RANVIER_INLINE Vec<T> first_lanes(Vec<T> v, int64_t n) {
  if (n >= kWidth<T>) return v;
  T lanes[kWidth<T>] = {};
  store_partial(lanes, v, n);
  return load(lanes);
}
#if defined(__AVX512F__)
template <>
RANVIER_INLINE Vec<float> first_lanes<float>(Vec<float> v, int64_t n) {
  return (Vec<float>)_mm512_maskz_mov_ps((__mmask16)((1u << n) - 1), (__m512)v);
}
template <>
RANVIER_INLINE Vec<double> first_lanes<double>(Vec<double> v, int64_t n) {
  return (Vec<double>)_mm512_maskz_mov_pd((__mmask8)((1u << n) - 1), (__m512d)v);
}
#endif

// The first n lanes from memory (0 <= n <= width); the others have one value.
template <typename T>
RANVIER_INLINE Vec<T> load_padded(const T* p, int64_t n, T padding) {
  T lanes[kWidth<T>];
  for (int i = 0; i < kWidth<T>; ++i) lanes[i] = i < n ? p[i] : padding;
  return load(lanes);
}
#if defined(__AVX512F__)
template <>
RANVIER_INLINE Vec<float> load_padded<float>(const float* p, int64_t n, float padding) {
  return (Vec<float>)_mm512_mask_loadu_ps(_mm512_set1_ps(padding), (__mmask16)((1u << n) - 1), p);
}
template <>
RANVIER_INLINE Vec<double> load_padded<double>(const double* p, int64_t n, double padding) {
  return (Vec<double>)_mm512_mask_loadu_pd(_mm512_set1_pd(padding), (__mmask8)((1u << n) - 1), p);
}
#endif

// Plain moves where n is known to be all lanes, as in the loop of each_vector.
template <typename T>
RANVIER_INLINE Vec<T> load_some(const T* p, int64_t n) {
  return n == kWidth<T> ? load(p) : load_partial(p, n);
}

template <typename T>
RANVIER_INLINE void store_some(T* p, Vec<T> v, int64_t n) {
  n == kWidth<T> ? store(p, v) : store_partial(p, v, n);
}

// Outputs from this size on leave the caches before anybody reads them.
constexpr int64_t kStreamedBytes = int64_t(1) << 24;

// Whether an output of rows of `row` elements is streamed: then every whole vector of a row is aligned.
template <typename T>
RANVIER_INLINE bool streamed(const T* out, int64_t rows, int64_t row) {
  return rows * row * int64_t(sizeof(T)) >= kStreamedBytes && row % kWidth<T> == 0 && aligned(out);
}

template <typename T>
RANVIER_INLINE void put(T* p, Vec<T> v, int64_t n, bool past_the_caches) {
  if (past_the_caches && n == kWidth<T>) return stream(p, v);
  store_some(p, v, n);
}

// memcpy for short pieces whose length is known late: without its call.
RANVIER_INLINE void copy_short(char* to, const char* from, int64_t bytes) {
  for (; bytes >= 64; bytes -= 64, to += 64, from += 64) memcpy(to, from, 64);
  for (; bytes >= 16; bytes -= 16, to += 16, from += 16) memcpy(to, from, 16);
  for (; bytes >= 4; bytes -= 4, to += 4, from += 4) memcpy(to, from, 4);
  for (; bytes > 0; --bytes) *to++ = *from++;
}
constexpr int64_t kShortBytes = 1024;

// body(i, lanes) for the vectors of n elements: whole ones in a loop that knows it, then what is left. (Masks made anew
// for each vector cost more than what is computed.)
template <typename T, typename Body>
RANVIER_INLINE void each_vector(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + kWidth<T> <= n; i += kWidth<T>) body(i, int64_t(kWidth<T>));
  if (i < n) body(i, n - i);
}

// NaN if there is one in the row; -Inf for an empty row.
template <typename T>
T row_max(const T* x, int64_t n) {
  constexpr int64_t w = kWidth<T>;
  Vec<T> best[4];
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) best[k] = broadcast<T>(-INFINITY);
  int64_t i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) best[k] = max(load(x + i + k * w), best[k]);
  }
  for (; i < n; i += w) best[0] = max(load_padded<T>(x + i, min_of(w, n - i), -INFINITY), best[0]);
  return max_lanes<T>(max(max(best[0], best[1]), max(best[2], best[3])));
}

// The sum of exp(x - peak), which kKeep leaves in y. Its order depends on n and the vector width alone.
template <typename T, bool kKeep>
T exp_and_sum(const T* x, T* y, T peak, int64_t n) {
  Vec<T> total{};
  int64_t i = 0;
  for (; i + kWidth<T> <= n; i += kWidth<T>) {
    const Vec<T> e = decay(load(x + i) - broadcast(peak));
    if (kKeep) store(y + i, e);
    total += e;
  }
  if (i < n) {
    const Vec<T> e = decay(load_partial(x + i, n - i) - broadcast(peak));
    if (kKeep) store_partial(y + i, e, n - i);
    total += first_lanes<T>(e, n - i);
  }
  return sum_lanes<T>(total);
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
