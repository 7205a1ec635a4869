#include "cpu/conv2d/narrow_tile.h"

#include "cpu/row.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Sums of the pixels from `first` on, each a vector whose lanes are to be added.
template <typename T, int kChannels, int kPixels>
RANVIER_INLINE void add_products(const CorrelationTile<T>& tile, int64_t first, int64_t pixels, Vec<T>* sums) {
  Vec<T> sum[kPixels][kChannels] = {};
  const T* pixel[kPixels];
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) pixel[p] = tile.source + tile.source_offsets[min_of(first + p, pixels - 1)];
  const T* panel = tile.panel;
  const auto add = [&](const auto& read) RANVIER_INLINED {
    Vec<T> weights[kChannels];
#pragma GCC unroll 8
    for (int o = 0; o < kChannels; ++o) weights[o] = load(panel + o * kWidth<T>);
    panel += kChannels * kWidth<T>;
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      const Vec<T> x = read(pixel[p]);
#pragma GCC unroll 8
      for (int o = 0; o < kChannels; ++o) sum[p][o] = fma(x, weights[o], sum[p][o]);
    }
  };
  const int64_t whole = tile.runs.length / kWidth<T> * kWidth<T>, left = tile.runs.length - whole;
  for (int64_t run = 0; run < tile.runs.count; ++run) {
    const int64_t begin = tile.runs.offsets[run], end = begin + whole;
    for (int64_t i = begin; i < end; i += kWidth<T>) add([&](const T* p) RANVIER_INLINED { return load(p + i); });
    if (left > 0) add([&](const T* p) RANVIER_INLINED { return load_partial(p + end, left); });
  }
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 8
    for (int o = 0; o < kChannels; ++o) sums[p * kChannels + o] = sum[p][o];
  }
}

template <typename T, int kChannels>
void multiply_narrow(const CorrelationTile<T>& tile, int64_t pixels) {
  constexpr int kAll = kWidth<T> / kChannels, kPixels = kAll > 8 ? 8 : kAll;  // whose addresses stay in registers
  Vec<T> sums[kWidth<T>] = {};
#pragma GCC unroll 2
  for (int first = 0; first < kAll; first += kPixels) {
    add_products<T, kChannels, kPixels>(tile, first, pixels, sums + first * kChannels);
  }
  const Vec<T> joined = sum_each<T>(sums) + load(tile.bias);
  const Vec<T> y = tile.relu ? max(joined, Vec<T>{}) : joined;
  const int64_t* to = tile.output_offsets;
  bool side_by_side = true;
  for (int64_t p = 1; p < pixels; ++p) side_by_side = side_by_side && to[p] == to[0] + p * kChannels;
  if (side_by_side) return store_partial(tile.output + to[0], y, pixels * kChannels);
  T lanes[kWidth<T>];
  store(lanes, y);
  for (int64_t p = 0; p < pixels; ++p) {
    for (int o = 0; o < kChannels; ++o) tile.output[to[p] + o] = lanes[p * kChannels + o];
  }
}

// Never asked for more channels than a vector has lanes: those entries only have to be there.
template <typename T, int Channels>
constexpr NarrowFunction<T> narrow() {
  return multiply_narrow<T, (Channels <= kWidth<T> ? Channels : 1)>;
}

template <typename T>
NarrowFunction<T> function_for(int64_t channels) {
  static const NarrowFunction<T> table[kMaxNarrow] = {narrow<T, 1>(), narrow<T, 2>(), narrow<T, 3>(), narrow<T, 4>(),
                                                      narrow<T, 5>(), narrow<T, 6>(), narrow<T, 7>(), narrow<T, 8>()};
  return table[channels - 1];
}

}  // namespace

NarrowFunction<float> narrow_tile(float, int64_t channels) { return function_for<float>(channels); }
NarrowFunction<double> narrow_tile(double, int64_t channels) { return function_for<double>(channels); }

}  // namespace RANVIER_ISA
}  // namespace ranvier
