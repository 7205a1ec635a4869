#include "cpu/conv2d/gradient_tile.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

template <typename T, int kRows, int kVectors, bool kContiguous>
void add_tile(const GradientTile<T>& tile) {
  Vec<T> sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    for (int v = 0; v < kVectors; ++v) {
      sum[m][v] = tile.first ? Vec<T>{} : load(tile.sums + (m * kVectors + v) * kWidth<T>);
    }
  }
  for (int64_t n = 0; n < tile.images; ++n) {
    for (int64_t p = 0; p < tile.rows; ++p) {
      const T* x = tile.x + n * tile.x_image + p * tile.x_row;
      const T* dy = tile.dy + n * tile.dy_image + p * tile.dy_row;
      const T* row[kContiguous ? 1 : kRows];
#pragma GCC unroll 16
      for (int m = 0; m < (kContiguous ? 1 : kRows); ++m) row[m] = x + tile.offsets[m];
      for (int64_t q = 0, i = 0; q < tile.columns; ++q, i += tile.x_column) {
        Vec<T> b[kVectors];
        for (int v = 0; v < kVectors; ++v) b[v] = load(dy + v * kWidth<T>);
        dy += tile.dy_column;
#pragma GCC unroll 16
        for (int m = 0; m < kRows; ++m) {
          const Vec<T> a = broadcast(kContiguous ? row[0][i + m] : row[m][i]);
          for (int v = 0; v < kVectors; ++v) sum[m][v] = fma(a, b[v], sum[m][v]);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    for (int v = 0; v < kVectors; ++v) store(tile.sums + (m * kVectors + v) * kWidth<T>, sum[m][v]);
  }
}

template <typename T, bool kContiguous>
GradientTileFunction<T> tile_function(int vectors, int64_t rows) {
#define RANVIER_ONE(R) add_tile<T, R, 1, kContiguous>
#define RANVIER_TWO(R) add_tile<T, R, 2, kContiguous>
  static const GradientTileFunction<T> table[2][kMaxTile] = {{RANVIER_TILE_HEIGHTS(RANVIER_ONE)},
                                                             {RANVIER_TILE_HEIGHTS(RANVIER_TWO)}};
#undef RANVIER_ONE
#undef RANVIER_TWO
  return table[vectors - 1][rows - 1];
}

template <typename T>
GradientTileFunction<T> any_tile(int vectors, int64_t rows, bool contiguous) {
  return contiguous ? tile_function<T, true>(vectors, rows) : tile_function<T, false>(vectors, rows);
}

}  // namespace

GradientTileFunction<float> gradient_tile(float, int vectors, int64_t rows, bool contiguous) {
  return any_tile<float>(vectors, rows, contiguous);
}
GradientTileFunction<double> gradient_tile(double, int vectors, int64_t rows, bool contiguous) {
  return any_tile<double>(vectors, rows, contiguous);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
