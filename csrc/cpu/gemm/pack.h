// Packing: copies of blocks of A and B in the order in which the microkernel reads them.
#pragma once

#include "cpu/gemm/lanes.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// `k` rows of `columns` (<= width) values, `ld` apart, into rows of `width`, zeros after them. Rows may lie a page
// apart, out of the hardware prefetchers' sight.
template <typename T>
void pack_rows(const T* b, int64_t ld, int64_t k, int64_t columns, int64_t width, T* out) {
  constexpr int64_t kAhead = 16;
  for (int64_t p = 0; p < k; ++p, b += ld, out += width) {
    __builtin_prefetch(b + kAhead * ld);
    __builtin_prefetch(b + kAhead * ld + columns - 1);
    int64_t j = 0;
    for (; j + kWidth<T> <= columns; j += kWidth<T>) store(out + j, load(b + j));
    for (; j < width; j += kWidth<T>) store(out + j, load_partial(b + j, max_of(0, min_of(kWidth<T>, columns - j))));
  }
}

// The same of `columns` rows of `k` values: out[p * width + j] = b[j * ld + p]. Blocks of 16 bytes by one vector go
// through registers: each lane is loaded from a row of its own, and lanes are transposed within themselves.
template <typename T>
void pack_transposed(const T* b, int64_t ld, int64_t k, int64_t columns, int64_t width, T* out) {
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t whole_columns = columns / kWidth<T> * kWidth<T>;
  const int64_t whole_k = k / kPerLane<T> * kPerLane<T>;
  for (int64_t line = 0; line < whole_k; line += kLine) {
    const int64_t end = min_of(whole_k, line + kLine);
    for (int64_t j = 0; j < whole_columns; j += kWidth<T>) {
      const T* from = b + j * ld;
#pragma GCC unroll 16
      for (int i = 0; i < kWidth<T>; ++i) __builtin_prefetch(from + i * ld + line + 2 * kLine);
      for (int64_t p = line; p < end; p += kPerLane<T>) transpose_lanes(from + p, ld, out + p * width + j, width);
    }
  }
  for (int64_t p = whole_k; p < k; ++p) {
    for (int64_t j = 0; j < whole_columns; ++j) out[p * width + j] = b[j * ld + p];
  }
  for (int64_t j = whole_columns; j < columns; ++j) {
    for (int64_t p = 0; p < k; ++p) out[p * width + j] = b[j * ld + p];
  }
  for (int64_t j = columns; j < width; ++j) {
    for (int64_t p = 0; p < k; ++p) out[p * width + j] = T(0);
  }
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
