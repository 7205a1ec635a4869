// The tile of correlations with few output channels, which would leave most of a vector's lanes empty: vectors run over
// the source's elements instead, and are summed at the end.
#pragma once

#include "cpu/conv2d/correlation_tile.h"
#include "cpu/conv2d/pack_weights.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

constexpr int64_t kMaxNarrow = 8;  // output channels

// Pixels whose sums fill the lanes of one vector.
template <typename T>
int64_t narrow_pixels(int64_t channels) {
  return kWidth<T> / channels;
}

// Elements of the packed weights of a run: for each vector of the source, one of every output channel.
template <typename T>
int64_t narrow_run_size(int64_t length, int64_t channels) {
  return ceil_div(length, kWidth<T>) * channels * kWidth<T>;
}

// Whether it is cheaper, in multiply-adds of vectors for a pixel: a sum over lanes costs some four of them.
template <typename T>
bool narrow_pays(int64_t channels, int64_t runs, int64_t length) {
  if (channels > min_of(kMaxNarrow, kWidth<T>)) return false;
  const int64_t products = runs * ceil_div(length, kWidth<T>) * max_of(2, channels);  // a load by itself costs one too
  return 5 * (products + 4 * channels) < 4 * runs * length;
}

// The weights of output channel `o` of a group, run by run. Whether they are finite.
template <typename T>
bool pack_narrow(const Correlation<T>& c, const Runs& runs, int64_t group, int64_t o, T* out) {
  const WeightStrides& strides = c.weight_strides;
  const T* weights = c.weights + group * strides.group + o * strides.out;
  const int64_t size = narrow_run_size<T>(runs.length, c.out_channels), step = c.out_channels * kWidth<T>;
  const int64_t vectors = ceil_div(runs.length, kWidth<T>), taps = runs.length / c.in_channels;
  T* run = static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * vectors * kWidth<T>));
  store(run + (vectors - 1) * kWidth<T>, Vec<T>{});
  bool finite = true;
  out += o * kWidth<T>;
  for (int64_t r = 0; r < runs.count; ++r, out += size) {
    const T* first = weights + r / runs.per_row * strides.row + r % runs.per_row * strides.column;
    for (int64_t j = 0; j < taps; ++j) {
      const T* tap = first + j * strides.column;
      for (int64_t k = 0; k < c.in_channels; ++k) run[j * c.in_channels + k] = tap[k * strides.in];
    }
    finite = all_finite(run, vectors * kWidth<T>) && finite;
    for (int64_t v = 0; v < vectors; ++v) store(out + v * step, load(run + v * kWidth<T>));
  }
  return finite;
}

}  // namespace

// In the tile, bias is a vector: a lane for each channel of each of narrow_pixels pixels; panel: see narrow_run_size.
template <typename T>
using NarrowFunction = void (*)(const CorrelationTile<T>& tile, int64_t pixels);

// For 1..kMaxNarrow channels, at most the width; `type` only chooses the overload.
NarrowFunction<float> narrow_tile(float type, int64_t channels);
NarrowFunction<double> narrow_tile(double type, int64_t channels);

}  // namespace RANVIER_ISA
}  // namespace ranvier
