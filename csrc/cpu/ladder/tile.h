// The register tile in vectors, which the upper steps of the gemm and conv2d ladders share.
#pragma once

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// A tile of C as large as the registers allow: rows x 2 vectors of sums, beside 2 registers for B and 1 for A.
//   AVX-512: 32 registers of 16 floats, tile 12 x 32; AVX2: 16 of 8, tile 6 x 16; baseline: 16 of 4, tile 6 x 8.
constexpr int kTileRows = kVectorBytes == 64 ? 12 : 6;
constexpr int kTileColumns = 2 * kWidth<float>;

// A packed row-block of A, and a panel of B, hold this much of the summed dimension. The panel of B is
// 256 * 32 * 4 bytes = 32 KiB with AVX-512, and so stays in a first-level cache of 48 KiB.
constexpr int64_t kDepth = 256;

// c (rows, columns) += a (rows, depth) * b (depth, columns), rows <= kTileRows, columns <= kTileColumns. Element (i, p)
// of a is a[i * a_row + p * a_column]; row p of b starts at b + p * b_row, and kWholeRows says that each has
// kTileColumns floats that may be read. For each p: 2 loads of B, a broadcast of A for every row, 24 multiply-adds.
template <bool kWholeRows>
RANVIER_INLINE void add_tile(const float* a, int64_t a_row, int64_t a_column, const float* b, int64_t b_row, float* c,
                             int64_t c_row, int64_t rows, int64_t columns, int64_t depth) {
  const int64_t left = min_of(columns, kWidth<float>), right = columns - left;  // floats in either vector
  const float* a_rows[kTileRows];
  for (int i = 0; i < kTileRows; ++i) a_rows[i] = a + min_of(i, rows - 1) * a_row;  // beyond the edge: a row twice
  Vec<float> sums[kTileRows][2] = {};
  for (int64_t p = 0; p < depth; ++p) {
    const float* row = b + p * b_row;
    const Vec<float> b0 = kWholeRows ? load(row) : load_partial(row, left);
    const Vec<float> b1 = kWholeRows ? load(row + kWidth<float>) : load_partial(row + kWidth<float>, right);
#pragma GCC unroll 12
    for (int i = 0; i < kTileRows; ++i) {
      const Vec<float> value = broadcast(a_rows[i][p * a_column]);
      sums[i][0] = fma(value, b0, sums[i][0]);
      sums[i][1] = fma(value, b1, sums[i][1]);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kTileRows; ++i) {
    if (i >= rows) break;
    float* out = c + i * c_row;
    store_partial(out, load_partial(out, left) + sums[i][0], left);
    if (right > 0) store_partial(out + kWidth<float>, load_partial(out + kWidth<float>, right) + sums[i][1], right);
  }
}

// Copies (depth, columns) of b into a panel whose rows lie one after another, kTileColumns each, padded with zeros.
RANVIER_INLINE void pack_panel(const float* b, int64_t b_row, float* panel, int64_t depth, int64_t columns) {
  const int64_t left = min_of(columns, kWidth<float>), right = columns - left;
  for (int64_t p = 0; p < depth; ++p) {
    store(panel + p * kTileColumns, load_partial(b + p * b_row, left));
    store(panel + p * kTileColumns + kWidth<float>, load_partial(b + p * b_row + kWidth<float>, right));
  }
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
