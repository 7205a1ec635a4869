#include "cpu/conv2d/few_taps.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Flops are few for each output: what counts is that nothing but the products and the stores happens. So the weights
// stay in registers over a row of pixels (9 taps x 2 vectors and 4 pixels x 2 sums of 32 registers with AVX-512), and
// the loop has no loads but the pixels'. Of 16 registers 12 are sums, for fewer do not hide the latency of the
// multiply-adds; there the weights come from L1, two loads for 12 products.
constexpr int kVectors = 2;
#if defined(__AVX512F__)
constexpr int kPixels = 4;
#else
constexpr int kPixels = 6;
#endif

template <typename T, int kTaps, int kCount>
struct Weights {
  Vec<T> bias[kCount];
  Vec<T> taps[kTaps][kCount];
};

template <typename T, int kTaps, int kCount, int kNeighbours>
RANVIER_INLINE void correlate_pixels(const FewTapsRow<T>& row, const Weights<T, kTaps, kCount>& weights,
                                     const int64_t* offsets, const T* source, T* output, int64_t columns) {
  Vec<T> sum[kNeighbours][kCount];
  for (int i = 0; i < kNeighbours; ++i) {
    for (int v = 0; v < kCount; ++v) sum[i][v] = weights.bias[v];
  }
#pragma GCC unroll 16
  for (int k = 0; k < kTaps; ++k) {
    const T* from = source + offsets[k];
#pragma GCC unroll 6
    for (int i = 0; i < kNeighbours; ++i) {
      const Vec<T> a = broadcast(from[i * row.source_step]);
      for (int v = 0; v < kCount; ++v) sum[i][v] = fma(a, weights.taps[k][v], sum[i][v]);
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < kNeighbours; ++i) {
    for (int v = 0; v < kCount; ++v) sum[i][v] = row.relu ? max(sum[i][v], Vec<T>{}) : sum[i][v];
    store_columns<T, kCount>(output + i * row.output_step, sum[i], columns);
  }
}

template <typename T, int kTaps, int kCount>
void correlate_vectors(const FewTapsRow<T>& row, int64_t at) {
  Weights<T, kTaps, kCount> weights;
#pragma GCC unroll 16
  for (int k = 0; k <= kTaps; ++k) {
    Vec<T>* to = k == 0 ? weights.bias : weights.taps[k - 1];
    for (int v = 0; v < kCount; ++v) to[v] = load(row.bias + k * row.width + at + v * kWidth<T>);
  }
  int64_t offsets[kTaps];
  for (int k = 0; k < kTaps; ++k) offsets[k] = row.offsets[k];
  const int64_t columns = min_of(kCount * kWidth<T>, row.columns - at);
  const T* source = row.source;
  T* output = row.output + at;
  int64_t q = 0;
  for (; q + kPixels <= row.pixels; q += kPixels) {
    correlate_pixels<T, kTaps, kCount, kPixels>(row, weights, offsets, source, output, columns);
    source += kPixels * row.source_step;
    output += kPixels * row.output_step;
  }
  for (; q < row.pixels; ++q) {
    correlate_pixels<T, kTaps, kCount, 1>(row, weights, offsets, source, output, columns);
    source += row.source_step;
    output += row.output_step;
  }
}

template <typename T, int kTaps>
void correlate_row(const FewTapsRow<T>& row) {
  int64_t at = 0;
  for (; at + kVectors * kWidth<T> <= row.width; at += kVectors * kWidth<T>) {
    correlate_vectors<T, kTaps, kVectors>(row, at);
  }
  for (; at < row.width; at += kWidth<T>) correlate_vectors<T, kTaps, 1>(row, at);
}

template <typename T>
FewTapsFunction<T> function_for(int64_t offsets) {
  static const FewTapsFunction<T> table[kFewTaps] = {correlate_row<T, 1>, correlate_row<T, 2>, correlate_row<T, 3>,
                                                     correlate_row<T, 4>, correlate_row<T, 5>, correlate_row<T, 6>,
                                                     correlate_row<T, 7>, correlate_row<T, 8>, correlate_row<T, 9>};
  return table[offsets - 1];
}

}  // namespace

FewTapsFunction<float> few_taps(float, int64_t offsets) { return function_for<float>(offsets); }
FewTapsFunction<double> few_taps(double, int64_t offsets) { return function_for<double>(offsets); }

}  // namespace RANVIER_ISA
}  // namespace ranvier
