#include "cpu/conv2d/correlation_tile.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// kRows pixels x kVectors vectors of output channels, in registers over the whole sum.
template <typename T, int kRows, int kVectors>
void multiply_tile(const CorrelationTile<T>& tile) {
  constexpr int64_t kPanel = kVectors * kWidth<T>;
  Vec<T> sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    const T* start = tile.accumulate ? tile.output + tile.output_offsets[m] : tile.bias;
    for (int v = 0; v < kVectors; ++v) sum[m][v] = load(start + v * kWidth<T>);
  }
  const T* pixel[kRows];  // kept over all runs, which may be short
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) pixel[m] = tile.source + tile.source_offsets[m];
  const T* panel = tile.panel;
  for (int64_t run = 0; run < tile.runs.count; ++run) {
    const int64_t begin = tile.runs.offsets[run], end = begin + tile.runs.length;
#pragma GCC unroll 2
    for (int64_t i = begin; i < end; ++i) {
      Vec<T> b[kVectors];
      for (int v = 0; v < kVectors; ++v) b[v] = load(panel + v * kWidth<T>);
      panel += kPanel;
#pragma GCC unroll 16
      for (int m = 0; m < kRows; ++m) {
        const Vec<T> a = broadcast(pixel[m][i]);
        for (int v = 0; v < kVectors; ++v) sum[m][v] = fma(a, b[v], sum[m][v]);
      }
    }
  }
  if (tile.relu) {
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
      for (int v = 0; v < kVectors; ++v) sum[m][v] = max(sum[m][v], Vec<T>{});
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m)
    store_columns<T, kVectors>(tile.output + tile.output_offsets[m], sum[m], tile.columns);
}

template <typename T>
TileFunction<T> tile_function(int vectors, int64_t rows) {
#define RANVIER_ONE(R) multiply_tile<T, R, 1>
#define RANVIER_TWO(R) multiply_tile<T, R, 2>
  static const TileFunction<T> table[2][kMaxTile] = {{RANVIER_TILE_HEIGHTS(RANVIER_ONE)},
                                                     {RANVIER_TILE_HEIGHTS(RANVIER_TWO)}};
#undef RANVIER_ONE
#undef RANVIER_TWO
  return table[vectors - 1][rows - 1];
}

}  // namespace

TileFunction<float> correlation_tile(float, int vectors, int64_t rows) { return tile_function<float>(vectors, rows); }
TileFunction<double> correlation_tile(double, int vectors, int64_t rows) {
  return tile_function<double>(vectors, rows);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
