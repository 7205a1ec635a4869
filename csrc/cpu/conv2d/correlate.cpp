#include "cpu/conv2d/correlation.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Stretches of the source that are contiguous under the kernel, relative to an output pixel's first tap:
// one per kernel row where columns lie side by side, else one per tap.
struct Runs {
  int64_t count;
  int64_t length;
  const int64_t* offsets;
};

template <typename T>
struct Tile {
  const T* source;
  const int64_t* source_offsets;  // per pixel
  T* output;
  const int64_t* output_offsets;  // per pixel
  Runs runs;
  const T* panel;  // the bias, then one row per source element of the runs
  int64_t columns;
};

// kRows pixels x kVectors vectors of output channels, in registers over the whole sum.
template <typename T, int kRows, int kVectors>
void multiply_tile(const Tile<T>& tile) {
  constexpr int64_t kPanel = kVectors * kWidth<T>;
  Vec<T> sum[kRows][kVectors];
  const T* panel = tile.panel;
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    for (int v = 0; v < kVectors; ++v) sum[m][v] = load(panel + v * kWidth<T>);
  }
  panel += kPanel;
  for (int64_t run = 0; run < tile.runs.count; ++run) {
    const T* source = tile.source + tile.runs.offsets[run];
    const T* pixel[kRows];
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) pixel[m] = source + tile.source_offsets[m];
#pragma GCC unroll 2
    for (int64_t i = 0; i < tile.runs.length; ++i) {
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
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m)
    store_columns<T, kVectors>(tile.output + tile.output_offsets[m], sum[m], tile.columns);
}

template <typename T>
using TileFunction = void (*)(const Tile<T>&);

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

// The driver's plan for one call.
template <typename T>
struct Plan {
  Correlation<T> c;
  Panels<T> panels;
  int64_t depth;         // source elements per output element
  int64_t packed_group;  // elements of one group's packed panels
  int64_t pixel;         // elements per source pixel
  int64_t block_rows;    // output rows per task
  int64_t blocks;        // per image
  const T* packed;
  Runs runs_direct;  // offsets in the source itself
  Runs runs_padded;  // offsets in a padded block
};

// Weights in panels, contiguous in the order in which tiles read them; first the bias, or zeros.
template <typename T>
void pack_panel(const Plan<T>& plan, int64_t group, int64_t panel, T* out) {
  const Correlation<T>& c = plan.c;
  const int64_t columns = plan.panels.columns(panel), width = plan.panels.width(panel);
  const int64_t first = plan.panels.first(panel);
  const T* weights = c.weights + group * c.weight_strides.group + first * c.weight_strides.out;
  const T* bias = c.bias == nullptr ? nullptr : c.bias + group * c.out_channels + first;
  for (int64_t o = 0; o < width; ++o) *out++ = bias != nullptr && o < columns ? bias[o] : T(0);
  for (int64_t i = 0; i < c.rows.taps; ++i) {
    for (int64_t j = 0; j < c.columns.taps; ++j) {
      const T* tap = weights + i * c.weight_strides.row + j * c.weight_strides.column;
      for (int64_t k = 0; k < c.in_channels; ++k, tap += c.weight_strides.in) {
        for (int64_t o = 0; o < columns; ++o) out[o] = tap[o * c.weight_strides.out];
        for (int64_t o = columns; o < width; ++o) out[o] = T(0);
        out += width;
      }
    }
  }
}

template <typename T>
const T* pack_weights(const Plan<T>& plan) {
  T* packed = static_cast<T*>(thread_scratch(kScratchB, sizeof(T) * plan.c.groups * plan.packed_group));
  const int64_t count = plan.panels.count();
  parallel(0, plan.c.groups * count, grain_for(2 * plan.depth * kWidth<T>), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t before = plan.panels.first(p % count) * (plan.depth + 1);
      pack_panel(plan, p / count, p % count, packed + (p / count) * plan.packed_group + before);
    }
  });
  return packed;
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
  return {c.rows.taps * per_row, merged ? c.columns.taps * c.in_channels : c.in_channels, offsets};
}

// Tiles of nearly equal height over the pixels of a block: for each panel, so that it stays in L1 or L2.
template <typename T>
void multiply_block(const Plan<T>& plan, const T* source, const Runs& runs, const int64_t* source_offsets, T* output,
                    const int64_t* output_offsets, int64_t pixels) {
  const Correlation<T>& c = plan.c;
  const int64_t tiles = ceil_div(pixels, kMaxTile);
  for (int64_t group = 0; group < c.groups; ++group) {
    const T* panel = plan.packed + group * plan.packed_group;
    for (int64_t p = 0; p < plan.panels.count(); ++p) {
      const int vectors = plan.panels.vectors(p);
      Tile<T> tile{source + group * c.in_channels,
                   nullptr,
                   output + group * c.out_channels + plan.panels.first(p),
                   nullptr,
                   runs,
                   panel,
                   plan.panels.columns(p)};
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t from = pixels * t / tiles, to = pixels * (t + 1) / tiles;
        tile.source_offsets = source_offsets + from;
        tile.output_offsets = output_offsets + from;
        tile_function<T>(vectors, to - from)(tile);
      }
      panel += (plan.depth + 1) * vectors * kWidth<T>;
    }
  }
}

template <typename T>
void correlate_block(const Plan<T>& plan, int64_t image, int64_t block) {
  const Correlation<T>& c = plan.c;
  const int64_t begin = block * plan.block_rows, rows = min_of(plan.block_rows, c.rows.out - begin);
  const int64_t from = begin * c.rows.stride - c.rows.pad, height = reach(c.rows, rows);
  const bool copied = sees_padding(c.columns) || from < 0 || from + height > c.rows.size;
  const T* source = c.source + image * c.rows.size * c.columns.size * plan.pixel;
  int64_t columns = c.columns.size;
  if (copied) {
    columns = reach(c.columns, c.columns.out);
    T* padded = static_cast<T*>(thread_scratch(kScratchPad, sizeof(T) * height * columns * plan.pixel));
    copy_padded(source, c.rows.size, c.columns.size, plan.pixel, from, height, c.columns.pad, columns, padded);
    source = padded;
  } else {
    source += (from * columns - c.columns.pad) * plan.pixel;
  }

  const int64_t pixels = rows * c.columns.out;
  int64_t* offsets = static_cast<int64_t*>(thread_scratch(kScratchC, sizeof(int64_t) * 2 * pixels));
  for (int64_t p = 0; p < rows; ++p) {
    for (int64_t q = 0; q < c.columns.out; ++q) {
      offsets[p * c.columns.out + q] = (p * c.rows.stride * columns + q * c.columns.stride) * plan.pixel;
      offsets[pixels + p * c.columns.out + q] = p * c.output_strides.row + q * c.output_strides.column;
    }
  }
  T* output = c.output + image * c.output_strides.image + begin * c.output_strides.row;
  multiply_block(plan, source, copied ? plan.runs_padded : plan.runs_direct, offsets, output, offsets + pixels, pixels);
}

// Output rows per task: a source block of a quarter of a usual L2, yet a few tasks in all. (Each output
// is one sum, whose order does not depend on the blocks.)
template <typename T>
int64_t choose_block_rows(const Correlation<T>& c) {
  constexpr int64_t kBlockBytes = 256 * 1024, kTasks = 16;
  const int64_t row_bytes = c.rows.stride * reach(c.columns, c.columns.out) * c.groups * c.in_channels * sizeof(T);
  const int64_t fitting = max_of(1, kBlockBytes / max_of(1, row_bytes));
  const int64_t sharing = max_of(1, c.images * c.rows.out / kTasks);
  return min_of(c.rows.out, min_of(fitting, max_of(sharing, ceil_div(kMaxTile, c.columns.out))));
}

template <typename T>
void correlate_any(Correlation<T> c) {
  if (c.images == 0 || c.rows.out == 0 || c.columns.out == 0 || c.out_channels == 0) return;
  if (c.in_channels == 0) c.rows.taps = c.columns.taps = 0;
  int64_t skipped = 0;
  c.rows = touching_taps(c.rows, &skipped);
  c.weights += skipped * c.weight_strides.row;
  c.columns = touching_taps(c.columns, &skipped);
  c.weights += skipped * c.weight_strides.column;
  if (c.rows.taps == 0 || c.columns.taps == 0) {  // nothing but bias
    c.rows.taps = c.columns.taps = 0;
    c.rows.size = c.columns.size = c.rows.pad = c.columns.pad = 0;
    c.rows.stride = c.columns.stride = 0;
    c.rows.dilation = c.columns.dilation = 1;
  }

  Plan<T> plan{};
  plan.c = c;
  plan.panels = {c.out_channels};
  plan.depth = c.rows.taps * c.columns.taps * c.in_channels;
  plan.packed_group = (plan.depth + 1) * plan.panels.total_width();
  plan.pixel = c.groups * c.in_channels;
  plan.block_rows = choose_block_rows(c);
  plan.blocks = ceil_div(c.rows.out, plan.block_rows);
  plan.packed = pack_weights(plan);
  const int64_t taps = c.rows.taps * c.columns.taps;
  int64_t* offsets = static_cast<int64_t*>(thread_scratch(kScratchOuter, sizeof(int64_t) * 2 * taps));
  plan.runs_direct = make_runs(c, c.columns.size, offsets);
  plan.runs_padded = make_runs(c, reach(c.columns, c.columns.out), offsets + taps);
  const int64_t work =
      plan.block_rows * c.columns.out * (plan.depth + 1) * plan.panels.total_width() * c.groups / kWidth<T>;
  parallel(0, c.images * plan.blocks, grain_for(work), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) correlate_block(plan, task / plan.blocks, task % plan.blocks);
  });
}

}  // namespace

void correlate(const Correlation<float>& correlation) { correlate_any(correlation); }
void correlate(const Correlation<double>& correlation) { correlate_any(correlation); }

}  // namespace RANVIER_ISA
}  // namespace ranvier
