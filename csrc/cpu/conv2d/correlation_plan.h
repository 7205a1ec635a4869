// What one call of correlate() has found out before its loops start, and the weights as its tiles read them.
#pragma once

#include "cpu/conv2d/narrow_tile.h"
#include "cpu/conv2d/pack_weights.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

template <typename T>
struct Plan {
  Correlation<T> c;
  Panels<T> panels;
  int64_t depth;         // source elements per output element
  int64_t packed_group;  // elements of one group's packed panels
  int64_t pixel;         // elements per source pixel
  int64_t block_images;  // per task
  int64_t block_rows;    // output rows per task
  int64_t row_blocks;    // per image
  bool few;              // taps: their weights fit in registers
  bool narrow;           // output channels: vectors run over the source
  const T* packed;
  bool finite;       // the weights, or nobody asks
  Runs runs_direct;  // offsets in the source itself
  Runs runs_padded;  // offsets in a padded block
};

template <typename T>
bool finiteness_matters(const Correlation<T>& c) {
  return sees_padding(c.rows) || (sees_padding(c.columns) && !c.padding_counts);
}

// Weights in panels, contiguous in the order in which tiles read them; first the bias, or zeros. Whether they are
// finite, where that decides if padding may be skipped.
template <typename T>
bool pack_panel(const Plan<T>& plan, int64_t group, int64_t panel, T* out) {
  const Correlation<T>& c = plan.c;
  const int64_t columns = plan.panels.columns(panel), width = plan.panels.width(panel);
  const int64_t first = plan.panels.first(panel);
  const T* weights = c.weights + group * c.weight_strides.group + first * c.weight_strides.out;
  const T* bias = c.bias == nullptr ? nullptr : c.bias + group * c.out_channels + first;
  for (int64_t o = 0; o < width; ++o) *out++ = bias != nullptr && o < columns ? bias[o] : T(0);
  for (int64_t i = 0; i < c.rows.taps; ++i) {
    for (int64_t j = 0; j < c.columns.taps; ++j) {
      const T* tap = weights + i * c.weight_strides.row + j * c.weight_strides.column;
      pack_tap(c.weight_strides, tap, 0, c.in_channels, columns, width, out);
      out += c.in_channels * width;
    }
  }
  return !finiteness_matters(c) || all_finite(out - plan.depth * width, plan.depth * width);
}

// One output channel of the narrow panel, and its part of the bias, once for each pixel of a tile.
template <typename T>
bool pack_narrow_channel(const Plan<T>& plan, int64_t group, int64_t channel, T* out) {
  const Correlation<T>& c = plan.c;
  const T bias = c.bias == nullptr ? T(0) : c.bias[group * c.out_channels + channel];
  for (int64_t lane = channel; lane < kWidth<T>; lane += c.out_channels) out[lane] = bias;
  return pack_narrow(c, plan.runs_direct, group, channel, out + kWidth<T>) || !finiteness_matters(c);
}

template <typename T>
void pack_weights(Plan<T>& plan) {
  const Correlation<T>& c = plan.c;
  const int64_t count = plan.narrow ? c.out_channels : plan.panels.count();  // of a group
  const int64_t panels = c.groups * count, size = c.groups * plan.packed_group;
  T* packed = static_cast<T*>(thread_scratch(kScratchB, sizeof(T) * size + static_cast<uint64_t>(panels)));
  bool* finite = reinterpret_cast<bool*>(packed + size);
  parallel(0, panels, grain_for(2 * plan.depth * kWidth<T>), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t group = p / count, panel = p % count;
      T* out = packed + group * plan.packed_group;
      finite[p] = plan.narrow ? pack_narrow_channel(plan, group, panel, out)
                              : pack_panel(plan, group, panel, out + plan.panels.first(panel) * (plan.depth + 1));
    }
  });
  plan.packed = packed;
  plan.finite = true;
  for (int64_t p = 0; p < panels; ++p) plan.finite = plan.finite && finite[p];
}

// Where each run begins in an image (or block) of that many columns.
template <typename T>
Runs make_runs(const Correlation<T>& c, int64_t columns, int64_t* offsets) {
  const int64_t pixel = c.groups * c.in_channels;
  const bool merged = c.groups == 1 && (c.columns.dilation == 1 || c.columns.taps == 1);
  const int64_t per_row = merged ? min_of(1, c.columns.taps) : c.columns.taps;
  for (int64_t i = 0; i < c.rows.taps; ++i) {
    for (int64_t j = 0; j < per_row; ++j) {
      offsets[i * per_row + j] = (i * c.rows.dilation * columns + j * c.columns.dilation) * pixel;
    }
  }
  return {c.rows.taps * per_row, merged ? c.columns.taps * c.in_channels : c.in_channels, offsets, per_row};
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
