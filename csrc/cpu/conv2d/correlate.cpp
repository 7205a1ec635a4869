#include "cpu/conv2d/correlation_tile.h"
#include "cpu/conv2d/pack_weights.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// The driver's plan for one call.
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
      pack_tap(c.weight_strides, tap, 0, c.in_channels, columns, width, out);
      out += c.in_channels * width;
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
  return {c.rows.taps * per_row, merged ? c.columns.taps * c.in_channels : c.in_channels, offsets, per_row};
}

// What a task computes: some rows of some images, its pixels in the order (row, image, column).
struct Block {
  int64_t images;
  int64_t begin;  // first output row
  int64_t rows;
  int64_t row_pixels;             // images * columns
  const int64_t* source_offsets;  // per pixel
  const int64_t* output_offsets;  // per pixel
};

// Kernel rows begin..end: those that do not lie in padding for an output row.
struct TapRange {
  int64_t begin;
  int64_t end;
};

TapRange taps_of_row(const CorrelationAxis& axis, int64_t output) {
  if (axis.taps == 0) return {0, 0};
  const int64_t first = output * axis.stride - axis.pad;
  const int64_t begin = first >= 0 ? 0 : ceil_div(-first, axis.dilation);
  const int64_t end = first >= axis.size ? 0 : min_of(axis.taps, (axis.size - 1 - first) / axis.dilation + 1);
  return {begin, max_of(begin, end)};
}

// One panel for neighbouring rows that see the same kernel rows: tiles of nearly equal height.
template <typename T>
void multiply_rows(const Block& block, int64_t from_row, int64_t to_row, int vectors, CorrelationTile<T> tile) {
  const int64_t pixels = (to_row - from_row) * block.row_pixels, start = from_row * block.row_pixels;
  const int64_t tiles = ceil_div(pixels, kMaxTile);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t from = pixels * t / tiles, to = pixels * (t + 1) / tiles;
    tile.source_offsets = block.source_offsets + start + from;
    tile.output_offsets = block.output_offsets + start + from;
    correlation_tile(T{}, vectors, to - from)(tile);
  }
}

// Panel by panel, so that each stays in L1 or L2 meanwhile.
template <typename T>
void multiply_block(const Plan<T>& plan, const Block& block, const T* source, const Runs& runs, T* output) {
  const Correlation<T>& c = plan.c;
  for (int64_t group = 0; group < c.groups; ++group) {
    for (int64_t p = 0; p < plan.panels.count(); ++p) {
      const int64_t width = plan.panels.width(p);
      const T* bias = plan.packed + group * plan.packed_group + plan.panels.first(p) * (plan.depth + 1);
      CorrelationTile<T> tile{};
      tile.source = source + group * c.in_channels;
      tile.output = output + group * c.out_channels + plan.panels.first(p);
      tile.bias = bias;
      tile.columns = plan.panels.columns(p);
      tile.relu = c.activation.kind == ActivationKind::Relu;
      for (int64_t row = 0, end; row < block.rows; row = end) {
        const TapRange taps = taps_of_row(c.rows, block.begin + row);
        for (end = row + 1; end < block.rows; ++end) {
          const TapRange next = taps_of_row(c.rows, block.begin + end);
          if (next.begin != taps.begin || next.end != taps.end) break;
        }
        const int64_t skipped = taps.begin * runs.per_row;
        tile.runs = {(taps.end - taps.begin) * runs.per_row, runs.length, runs.offsets + skipped, runs.per_row};
        tile.panel = bias + (1 + skipped * runs.length) * width;
        multiply_rows(block, row, end, plan.panels.vectors(p), tile);
      }
    }
  }
}

template <typename T>
void correlate_block(const Plan<T>& plan, int64_t task) {
  const Correlation<T>& c = plan.c;
  const int64_t image = task / plan.row_blocks * plan.block_images;
  Block block{};
  block.images = min_of(plan.block_images, c.images - image);
  block.begin = task % plan.row_blocks * plan.block_rows;
  block.rows = min_of(plan.block_rows, c.rows.out - block.begin);
  block.row_pixels = block.images * c.columns.out;

  const int64_t from = block.begin * c.rows.stride - c.rows.pad, height = reach(c.rows, block.rows);
  const bool copied = sees_padding(c.columns) || from < 0 || from + height > c.rows.size;
  int64_t image_size = c.rows.size * c.columns.size * plan.pixel, columns = c.columns.size;
  const T* source = c.source + image * image_size;
  if (copied) {
    columns = reach(c.columns, c.columns.out);
    const int64_t copy_size = height * columns * plan.pixel;
    T* padded = static_cast<T*>(thread_scratch(kScratchPad, sizeof(T) * block.images * copy_size));
    for (int64_t n = 0; n < block.images; ++n) {
      copy_padded(source + n * image_size, c.rows.size, c.columns.size, plan.pixel, from, height, c.columns.pad,
                  columns, padded + n * copy_size);
    }
    source = padded;
    image_size = copy_size;
  } else {
    source += (from * columns - c.columns.pad) * plan.pixel;
  }

  const int64_t pixels = block.rows * block.row_pixels;
  int64_t* offsets = static_cast<int64_t*>(thread_scratch(kScratchC, sizeof(int64_t) * 2 * pixels));
  block.source_offsets = offsets;
  block.output_offsets = offsets + pixels;
  for (int64_t p = 0; p < block.rows; ++p) {
    for (int64_t n = 0; n < block.images; ++n) {
      for (int64_t q = 0; q < c.columns.out; ++q, ++offsets) {
        offsets[0] = n * image_size + (p * c.rows.stride * columns + q * c.columns.stride) * plan.pixel;
        offsets[pixels] = n * c.output_strides.image + p * c.output_strides.row + q * c.output_strides.column;
      }
    }
  }
  T* output = c.output + image * c.output_strides.image + block.begin * c.output_strides.row;
  multiply_block(plan, block, source, copied ? plan.runs_padded : plan.runs_direct, output);
  if (c.activation.kind == ActivationKind::Linear || c.activation.kind == ActivationKind::Relu) return;
  for (int64_t n = 0; n < block.images; ++n) {  // still in L2
    for (int64_t p = 0; p < block.rows; ++p) {
      activate_row(c.activation, output + n * c.output_strides.image + p * c.output_strides.row,
                   c.columns.out * c.output_strides.column);
    }
  }
}

// Rows and images per task: a source block of a quarter of a usual L2, yet some tasks in all; whole images
// together where one has few pixels. (Each output is one sum, whose order does not depend on the blocks.)
template <typename T>
void choose_blocks(Plan<T>& plan) {
  constexpr int64_t kBlockBytes = 256 * 1024, kBlockPixels = 256, kTasks = 16;
  const Correlation<T>& c = plan.c;
  const int64_t row_bytes = max_of(1, c.rows.stride * reach(c.columns, c.columns.out) * plan.pixel * sizeof(T));
  const int64_t fitting = max_of(1, kBlockBytes / row_bytes);
  const int64_t sharing = max_of(ceil_div(kMaxTile, c.columns.out), c.images * c.rows.out / kTasks);
  plan.block_rows = min_of(c.rows.out, min_of(fitting, sharing));
  plan.row_blocks = ceil_div(c.rows.out, plan.block_rows);
  plan.block_images = 1;
  if (plan.row_blocks == 1) {
    const int64_t few = min_of(kBlockPixels / (c.rows.out * c.columns.out), fitting / c.rows.out);
    plan.block_images = max_of(1, min_of(few, c.images / kTasks));
  }
}

// 0: the direct sum.
int64_t side_of(const Correlation<float>& c) {
  const bool fits = c.winograd && c.groups == 1 && c.rows.taps == 3 && c.columns.taps == 3 && c.rows.stride == 1 &&
                    c.columns.stride == 1 && c.rows.dilation == 1 && c.columns.dilation == 1;
  if (!fits) return 0;
  int64_t row_taps = 0;
  for (int64_t row = 0; row < c.rows.out; ++row) {
    const TapRange taps = taps_of_row(c.rows, row);
    row_taps += taps.end - taps.begin;
  }
  return winograd_side(c.images, c.rows.out, c.columns.out, row_taps, c.in_channels, c.out_channels);
}
int64_t side_of(const Correlation<double>&) { return 0; }

void correlate_by_winograd(const Correlation<float>& c, int64_t side) { correlate_winograd(c, side); }
void correlate_by_winograd(const Correlation<double>&, int64_t) {}

template <typename T>
void correlate_any(Correlation<T> c) {
  if (c.images == 0 || c.rows.out == 0 || c.columns.out == 0 || c.out_channels == 0) return;
  if (c.in_channels == 0) c.rows.taps = c.columns.taps = 0;
  int64_t skipped = 0;
  c.rows = touching_taps(c.rows, &skipped);
  c.weights += skipped * c.weight_strides.row;
  c.columns = touching_taps(c.columns, &skipped);
  c.weights += skipped * c.weight_strides.column;
  if (c.rows.taps > 0 && c.columns.taps > 0 && c.groups > 1 && c.in_channels == 1) return correlate_depthwise(c);
  if (const int64_t side = side_of(c)) return correlate_by_winograd(c, side);
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
  choose_blocks(plan);
  plan.packed = pack_weights(plan);
  const int64_t taps = c.rows.taps * c.columns.taps;
  int64_t* offsets = static_cast<int64_t*>(thread_scratch(kScratchOuter, sizeof(int64_t) * 2 * taps));
  plan.runs_direct = make_runs(c, c.columns.size, offsets);
  plan.runs_padded = make_runs(c, reach(c.columns, c.columns.out), offsets + taps);
  const int64_t work = plan.block_images * plan.block_rows * c.columns.out * (plan.depth + 1) *
                       plan.panels.total_width() * c.groups / kWidth<T>;
  parallel(0, ceil_div(c.images, plan.block_images) * plan.row_blocks, grain_for(work),
           [&](int64_t begin, int64_t end) {
             for (int64_t task = begin; task < end; ++task) correlate_block(plan, task);
           });
}

}  // namespace

void correlate(const Correlation<float>& correlation) { correlate_any(correlation); }
void correlate(const Correlation<double>& correlation) { correlate_any(correlation); }

}  // namespace RANVIER_ISA
}  // namespace ranvier
