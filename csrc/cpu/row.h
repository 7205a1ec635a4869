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

// memcpy for many pieces of one length, looked at once: body(copy) with a copy(to, from) for `bytes` >= 1 that fits. Up
// to 128 bytes are two moves, which overlap.
template <int kMove>
struct CopyTwice {
  int64_t bytes;
  RANVIER_INLINE void operator()(char* to, const char* from) const {
    memcpy(to, from, kMove);
    memcpy(to + bytes - kMove, from + bytes - kMove, kMove);
  }
};
struct CopyBlocks {
  int64_t bytes;
  RANVIER_INLINE void operator()(char* to, const char* from) const {
    for (int64_t i = 0; i + 64 < bytes; i += 64) memcpy(to + i, from + i, 64);
    memcpy(to + bytes - 64, from + bytes - 64, 64);
  }
};
struct CopyAtOnce {
  int64_t bytes;
  RANVIER_INLINE void operator()(char* to, const char* from) const { memcpy(to, from, static_cast<size_t>(bytes)); }
};

template <typename Body>
RANVIER_INLINE void with_copy_of(int64_t bytes, const Body& body) {
  if (bytes > 1024) return body(CopyAtOnce{bytes});
  if (bytes > 128) return body(CopyBlocks{bytes});
  if (bytes >= 64) return body(CopyTwice<64>{bytes});
  if (bytes >= 32) return body(CopyTwice<32>{bytes});
  if (bytes >= 16) return body(CopyTwice<16>{bytes});
  if (bytes >= 8) return body(CopyTwice<8>{bytes});
  if (bytes >= 4) return body(CopyTwice<4>{bytes});
  if (bytes >= 2) return body(CopyTwice<2>{bytes});
  body(CopyTwice<1>{bytes});
}

// body(i, lanes) for the vectors of n elements: whole ones in a loop that knows it, then what is left. (Masks made anew
// for each vector cost more than what is computed.)
template <typename T, typename Body>
RANVIER_INLINE void each_vector(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + kWidth<T> <= n; i += kWidth<T>) body(i, int64_t(kWidth<T>));
  if (i < n) body(i, n - i);
}

// --- the lanes of many vectors joined at once ---------------------------------------------------------------

template <int... kLane>
struct LaneList {};
template <int n>
struct AllLanes;
// clang-format off
template <> struct AllLanes<2> { typedef LaneList<0, 1> List; };
template <> struct AllLanes<4> { typedef LaneList<0, 1, 2, 3> List; };
template <> struct AllLanes<8> { typedef LaneList<0, 1, 2, 3, 4, 5, 6, 7> List; };
template <> struct AllLanes<16> { typedef LaneList<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15> List; };
// clang-format on

// Of each block of 2 kHalf lanes of a, then of b, the first half (kFrom 0) or the second (kFrom kHalf).
template <typename T, int kHalf, int kFrom, int... kLane>
RANVIER_INLINE Vec<T> halves_of(Vec<T> a, Vec<T> b, LaneList<kLane...>) {
#if __has_builtin(__builtin_shufflevector)
  return __builtin_shufflevector(a, b, (kLane / kHalf * 2 * kHalf + kLane % kHalf + kFrom)...);
#else
  return __builtin_shuffle(a, b, IntVec<T>{(kLane / kHalf * 2 * kHalf + kLane % kHalf + kFrom)...});
#endif
}

// Lane i of the result: the lanes of v[i] joined, lane j with lane j + half, as sum_lanes does. With kCount of the
// width three instructions a vector, where one vector by itself costs dozens.
template <typename T, int kCount = kWidth<T>, typename Join>
RANVIER_INLINE Vec<T> join_each(const Vec<T>* v, const Join& join) {
  if constexpr (kCount == 1) {
    return v[0];
  } else {
    constexpr int kHalf = kWidth<T> / kCount;
    typedef typename AllLanes<kWidth<T>>::List Lanes;
    const Vec<T> a = join_each<T, kCount / 2>(v, join), b = join_each<T, kCount / 2>(v + kCount / 2, join);
    return join(halves_of<T, kHalf, 0>(a, b, Lanes{}), halves_of<T, kHalf, kHalf>(a, b, Lanes{}));
  }
}

template <typename T>
RANVIER_INLINE Vec<T> sum_each(const Vec<T>* v) {
  return join_each<T>(v, [](Vec<T> a, Vec<T> b) RANVIER_INLINED { return a + b; });
}

// Rows that kernels take together: many short ones, whose sums and maxima are joined at once, or a long one, which
// stays in L1 between its passes.
template <typename T>
RANVIER_INLINE int64_t rows_together(int64_t n) {
  return n <= 256 ? kWidth<T> : 1;
}

// body(first, count) for groups of rows begin..end of n elements.
template <typename T, typename Body>
RANVIER_INLINE void each_group(int64_t begin, int64_t end, int64_t n, const Body& body) {
  const int64_t group = rows_together<T>(n);
  for (int64_t r = begin; r < end; r += group) body(r, min_of(group, end - r));
}

// part(r), a vector for each of `count` rows; the rest are zeros.
template <typename T, typename Part>
RANVIER_INLINE void each_part(Vec<T>* parts, int64_t count, const Part& part) {
  for (int64_t r = 0; r < kWidth<T>; ++r) parts[r] = Vec<T>{};
  for (int64_t r = 0; r < count; ++r) parts[r] = part(r);
}

// Lane by lane the largest of a row's vectors: NaN if there is one, -Inf for an empty row.
template <typename T>
RANVIER_INLINE Vec<T> row_max(const T* x, int64_t n) {
  constexpr int64_t w = kWidth<T>;
  Vec<T> best[4];
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) best[k] = broadcast<T>(-INFINITY);
  int64_t i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) best[k] = max(load(x + i + k * w), best[k]);
  }
  for (; i + w <= n; i += w) best[0] = max(load(x + i), best[0]);
  if (i < n) best[1] = max(load_padded<T>(x + i, n - i, -INFINITY), best[1]);
  return max(max(best[0], best[1]), max(best[2], best[3]));
}

// The maxima of `count` rows, a lane each.
template <typename T>
RANVIER_INLINE Vec<T> row_maxima(const T* x, int64_t n, int64_t count) {
  Vec<T> parts[kWidth<T>];
  each_part<T>(parts, count, [&](int64_t r) RANVIER_INLINED { return row_max(x + r * n, n); });
  return join_each<T>(parts, [](Vec<T> a, Vec<T> b) RANVIER_INLINED { return max(b, a); });
}

// exp(x - peak), which kKeep leaves in y, summed lane by lane. Its order depends on n and the vector width alone.
template <typename T, bool kKeep>
RANVIER_INLINE Vec<T> exp_and_sum(const T* x, T* y, T peak, int64_t n) {
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
  return total;
}

// The same for `count` rows, a sum in each lane; peaks has a lane for each too.
template <typename T, bool kKeep>
RANVIER_INLINE Vec<T> exp_and_sums(const T* x, T* y, const T* peaks, int64_t n, int64_t count) {
  Vec<T> parts[kWidth<T>];
  each_part<T>(parts, count, [&](int64_t r) RANVIER_INLINED {
    return exp_and_sum<T, kKeep>(x + r * n, kKeep ? y + r * n : y, peaks[r], n);
  });
  return sum_each<T>(parts);
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
