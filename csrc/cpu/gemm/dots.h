// Dot products: a matrix, stored row by row, times a column (bound by memory) or a few columns, with which the
// microkernel's tiles would be half empty.
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

#if defined(__AVX512F__)
constexpr int kDotRows = 4;
#else
constexpr int kDotRows = 2;
#endif

// Every row of `many` with every row of `few`: out[i * many_step + j * few_step].
template <typename T>
struct FewDots {
  const T* many;
  int64_t many_ld;
  const T* few;
  int64_t few_ld;
  int64_t few_rows;
  int64_t k;
  T* out;
  int64_t many_step;
  int64_t few_step;

  template <int kRows, int kColumns>
  void tile(int64_t i, int64_t j) const {
    const T* a = many + i * many_ld;
    const T* b = few + j * few_ld;
    Vec<T> acc[kRows][4] = {};
    const auto step = [&](int64_t p, int64_t left) __attribute__((always_inline)) {
      Vec<T> bs[kColumns];
#pragma GCC unroll 4
      for (int c = 0; c < kColumns; ++c) bs[c] = load_some(b + c * few_ld + p, left);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const Vec<T> value = load_some(a + r * many_ld + p, left);
#pragma GCC unroll 4
        for (int c = 0; c < kColumns; ++c) acc[r][c] = fma(value, bs[c], acc[r][c]);
      }
    };
    int64_t p = 0;
    for (; p + kWidth<T> <= k; p += kWidth<T>) step(p, kWidth<T>);
    if (p < k) step(p, k - p);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      T sums[4];
      four_sums(acc[r], sums);
      for (int c = 0; c < kColumns; ++c) out[(i + r) * many_step + (j + c) * few_step] = sums[c];
    }
  }

  static RANVIER_INLINE Vec<T> load_some(const T* p, int64_t left) {
    return left >= kWidth<T> ? load(p) : load_partial(p, left);
  }

  template <int kRows>
  void rows(int64_t i) const {
    for (int64_t j = 0; j < few_rows; j += 4) {
      switch (few_rows - j) {
        case 1: tile<kRows, 1>(i, j); break;
        case 2: tile<kRows, 2>(i, j); break;
        case 3: tile<kRows, 3>(i, j); break;
        default: tile<kRows, 4>(i, j);
      }
    }
  }

  void run(int64_t begin, int64_t end) const {
    int64_t i = begin;
    for (; i + kDotRows <= end; i += kDotRows) rows<kDotRows>(i);
    for (; i < end; ++i) rows<1>(i);
  }
};

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
