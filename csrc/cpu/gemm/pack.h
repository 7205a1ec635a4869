// Packing: copies of blocks of A and B in the order in which the microkernel reads them.
#pragma once

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// B as stored: element (p, j) of op(B) is b[p * ld + j], or b[j * ld + p] if transposed.

// `k` rows of `columns` (<= width) values into rows of `width`, zeros after them. Rows may lie a page apart, out
// of the hardware prefetchers' sight.
template <typename T>
void pack_b_panel(const T* b, int64_t ld, int64_t k, int64_t columns, int64_t width, T* out) {
  constexpr int64_t kAhead = 16;
  for (int64_t p = 0; p < k; ++p, b += ld, out += width) {
    int64_t j = 0;
    for (; j + kWidth<T> <= columns; j += kWidth<T>) {
      __builtin_prefetch(b + kAhead * ld + j);
      store(out + j, load(b + j));
    }
    for (; j < width; j += kWidth<T>) store(out + j, load_partial(b + j, max_of(0, min_of(kWidth<T>, columns - j))));
  }
}

// The same from a transposed B: blocks of four by four through registers of four values.
template <typename T>
struct Four {
  typedef T Type __attribute__((vector_size(4 * sizeof(T))));
};

template <typename T>
RANVIER_INLINE void transpose_4x4(const T* from, int64_t ld, T* to, int64_t width) {
  using V = typename Four<T>::Type;
  V r[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) memcpy(&r[i], from + i * ld, sizeof(V));
  const V low01 = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
  const V low23 = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
  const V high01 = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
  const V high23 = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  const V columns[4] = {
      __builtin_shufflevector(low01, low23, 0, 1, 4, 5), __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
      __builtin_shufflevector(high01, high23, 0, 1, 4, 5), __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) memcpy(to + i * width, &columns[i], sizeof(V));
}

template <typename T>
void pack_transposed_b_panel(const T* b, int64_t ld, int64_t k, int64_t columns, int64_t width, T* out) {
  const int64_t whole_columns = columns / 4 * 4;
  const int64_t whole_k = k / 4 * 4;
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t line = 0; line < whole_k; line += kLine) {
    const int64_t end = min_of(whole_k, line + kLine);
    for (int64_t j = 0; j < whole_columns; j += 4) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) __builtin_prefetch(b + (j + i) * ld + line + 2 * kLine);
      for (int64_t p = line; p < end; p += 4) transpose_4x4(b + j * ld + p, ld, out + p * width + j, width);
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

// `rows` rows of `length` contiguous values, `ld` apart, into rows `out_ld` apart.
template <typename T>
void copy_rows(const T* from, int64_t ld, int64_t rows, int64_t length, T* out, int64_t out_ld) {
  for (int64_t i = 0; i < rows; ++i) memcpy(out + i * out_ld, from + i * ld, sizeof(T) * static_cast<uint64_t>(length));
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
