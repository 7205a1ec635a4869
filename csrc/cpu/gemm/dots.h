// A matrix, stored row by row, times a column: dot products, bound by memory.
#pragma once

#include "cpu/gemm/lanes.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Four dot products of rows `ld` apart with x (of fewer rows, the last ones are zero). Two chains of vectors for each;
// the order of a row's sum does not depend on how many rows go together.
template <typename T, int kRows>
RANVIER_INLINE void dot_rows(const T* a, int64_t ld, const T* x, int64_t k, T* sums) {
  Vec<T> acc[4][2] = {};
  int64_t p = 0;
  for (; p + 2 * kWidth<T> <= k; p += 2 * kWidth<T>) {
    const Vec<T> x0 = load(x + p), x1 = load(x + p + kWidth<T>);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      acc[i][0] = fma(load(a + i * ld + p), x0, acc[i][0]);
      acc[i][1] = fma(load(a + i * ld + p + kWidth<T>), x1, acc[i][1]);
    }
  }
  for (; p < k; p += kWidth<T>) {
    const int64_t left = min_of(kWidth<T>, k - p);
    const Vec<T> x0 = load_partial(x + p, left);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) acc[i][0] = fma(load_partial(a + i * ld + p, left), x0, acc[i][0]);
  }
  Vec<T> both[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) both[i] = acc[i][0] + acc[i][1];
  four_sums(both, sums);
}

// out[i] = row i of a (rows, k) times x, for rows begin to end.
template <typename T>
void dot_range(const T* a, int64_t ld, const T* x, int64_t k, T* out, int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i + 4 <= end; i += 4) dot_rows<T, 4>(a + i * ld, ld, x, k, out + i);
  for (; i < end; ++i) {
    T sums[4];
    dot_rows<T, 1>(a + i * ld, ld, x, k, sums);
    out[i] = sums[0];
  }
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
