#include "cpu/conv2d/correlation_tile.h"
#include "cpu/conv2d/few_taps.h"
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
  bool few;              // taps: their weights fit in registers
  const T* packed;
  bool finite;       // the weights, or nobody asks
  Runs runs_direct;  // offsets in the source itself
  Runs runs_padded;  // offsets in a padded block
};

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
  const bool matters = sees_padding(c.rows) || (sees_padding(c.columns) && !c.padding_counts);
  return !matters || all_finite(out - plan.depth * width, plan.depth * width);
}

template <typename T>
void pack_weights(Plan<T>& plan) {
  const int64_t count = plan.panels.count(), panels = plan.c.groups * count, size = plan.c.groups * plan.packed_group;
  T* packed = static_cast<T*>(thread_scratch(kScratchB, sizeof(T) * size + static_cast<uint64_t>(panels)));
  bool* finite = reinterpret_cast<bool*>(packed + size);
  parallel(0, panels, grain_for(2 * plan.depth * kWidth<T>), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t before = plan.panels.first(p % count) * (plan.depth + 1);
      finite[p] = pack_panel(plan, p / count, p % count, packed + (p / count) * plan.packed_group + before);
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

// What a task computes: some rows of some images, its pixels in the order (row, image, column).
struct Block {
  int64_t images;
  int64_t begin;  // first output row
  int64_t rows;
  int64_t row_pixels;                               // images * columns
  int64_t source_image, source_row, source_column;  // steps between outputs
  const int64_t* source_offsets;                    // per pixel
  const int64_t* output_offsets;                    // per pixel
};

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

// Where its pixels begin, in the source and in the output.
template <typename T>
Block with_offsets(const Correlation<T>& c, Block block) {
  const int64_t pixels = block.rows * block.row_pixels;
  int64_t* offsets = static_cast<int64_t*>(thread_scratch(kScratchC, sizeof(int64_t) * 2 * pixels));
  block.source_offsets = offsets;
  block.output_offsets = offsets + pixels;
  for (int64_t p = 0; p < block.rows; ++p) {
    for (int64_t n = 0; n < block.images; ++n) {
      for (int64_t q = 0; q < c.columns.out; ++q, ++offsets) {
        offsets[0] = n * block.source_image + p * block.source_row + q * block.source_column;
        offsets[pixels] = n * c.output_strides.image + p * c.output_strides.row + q * c.output_strides.column;
      }
    }
  }
  return block;
}

// Row by row.
template <typename T>
void correlate_few(const Plan<T>& plan, const Block& block, const T* source, const Runs& runs, T* output) {
  const Correlation<T>& c = plan.c;
  int64_t offsets[kFewTaps];
  for (int64_t k = 0; k < plan.depth; ++k) offsets[k] = runs.offsets[k / runs.length] + k % runs.length;
  for (int64_t n = 0; n < block.images; ++n) {
    for (int64_t p = 0; p < block.rows; ++p) {
      for (int64_t panel = 0; panel < c.groups * plan.panels.count(); ++panel) {
        const int64_t group = panel / plan.panels.count(), in_group = panel % plan.panels.count();
        const int64_t first = plan.panels.first(in_group);
        FewTapsRow<T> row{};
        row.source = source + n * block.source_image + p * block.source_row + group * c.in_channels;
        row.source_step = block.source_column;
        row.offsets = offsets;
        row.bias = plan.packed + group * plan.packed_group + first * (plan.depth + 1);
        row.width = plan.panels.width(in_group);
        row.columns = plan.panels.columns(in_group);
        row.output = output + n * c.output_strides.image + p * c.output_strides.row + group * c.out_channels + first;
        row.output_step = c.output_strides.column;
        row.pixels = c.columns.out;
        row.relu = c.activation.kind == ActivationKind::Relu;
        few_taps(T{}, plan.depth)(row);
      }
    }
  }
}

// Panel by panel, so that each stays in L1 or L2 meanwhile.
template <typename T>
void multiply_block(const Plan<T>& plan, const Block& where, const T* source, const Runs& runs, T* output) {
  const Correlation<T>& c = plan.c;
  const Block block = with_offsets(c, where);
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
        end = plan.finite ? end_of_section(c.rows, block.begin + row, block.begin + block.rows) - block.begin
                          : block.rows;
        const TapRange taps = plan.finite ? taps_of_output(c.rows, block.begin + row) : TapRange{0, c.rows.taps};
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

  block.source_image = image_size;
  block.source_row = c.rows.stride * columns * plan.pixel;
  block.source_column = c.columns.stride * plan.pixel;
  T* output = c.output + image * c.output_strides.image + block.begin * c.output_strides.row;
  (plan.few ? correlate_few<T> : multiply_block<T>)(plan, block, source, copied ? plan.runs_padded : plan.runs_direct,
                                                    output);
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
    const TapRange taps = taps_of_output(c.rows, row);
    row_taps += taps.end - taps.begin;
  }
  return winograd_side(c.images, c.rows.out, c.columns.out, row_taps, c.in_channels, c.out_channels);
}
int64_t side_of(const Correlation<double>&) { return 0; }

void correlate_by_winograd(const Correlation<float>& c, int64_t side) { correlate_winograd(c, side); }
void correlate_by_winograd(const Correlation<double>&, int64_t) {}

template <typename T>
void correlate_any(Correlation<T> c);

// The outputs begin..end of an axis, which see these taps only.
CorrelationAxis section(CorrelationAxis axis, int64_t begin, int64_t end, TapRange taps) {
  axis.pad -= taps.begin * axis.dilation + begin * axis.stride;
  axis.taps = taps.end - taps.begin;
  axis.out = end - begin;
  return axis;
}

// Without a product of padding, part by part; for weights that are not finite.
template <typename T>
void correlate_inside(Correlation<T> c) {
  c.winograd = false;
  c.padding_counts = true;  // there is none in a part
  for (int64_t p = 0, p_end; p < c.rows.out; p = p_end) {
    p_end = end_of_section(c.rows, p, c.rows.out);
    const TapRange rows = taps_of_output(c.rows, p);
    for (int64_t q = 0, q_end; q < c.columns.out; q = q_end) {
      q_end = end_of_section(c.columns, q, c.columns.out);
      const TapRange columns = taps_of_output(c.columns, q);
      Correlation<T> part = c;
      part.rows = section(c.rows, p, p_end, rows);
      part.columns = section(c.columns, q, q_end, columns);
      part.weights += rows.begin * c.weight_strides.row + columns.begin * c.weight_strides.column;
      part.output += p * c.output_strides.row + q * c.output_strides.column;
      correlate_any(part);
    }
  }
}

// The bias plus what the taps outside rows and columns, which meet nothing but padding, give: zero, or NaN.
template <typename T>
const T* bias_with_padding(const Correlation<T>& c, int64_t row, int64_t rows, int64_t column, int64_t columns) {
  T* bias = static_cast<T*>(thread_scratch(kScratchPad, sizeof(T) * c.groups * c.out_channels));
  for (int64_t group = 0; group < c.groups; ++group) {
    for (int64_t o = 0; o < c.out_channels; ++o, ++bias) {
      *bias = c.bias == nullptr ? T(0) : c.bias[group * c.out_channels + o];
      const T* weights = c.weights + group * c.weight_strides.group + o * c.weight_strides.out;
      for (int64_t tap = 0; tap < c.rows.taps * c.columns.taps; ++tap) {
        const int64_t i = tap / c.columns.taps, j = tap % c.columns.taps;
        if (i >= row && i < row + rows && j >= column && j < column + columns) continue;
        for (int64_t k = 0; k < c.in_channels; ++k) {
          *bias += 0 * weights[i * c.weight_strides.row + j * c.weight_strides.column + k * c.weight_strides.in];
        }
      }
    }
  }
  return bias - c.groups * c.out_channels;
}

// Without the taps that never meet a source.
template <typename T>
Correlation<T> trimmed(Correlation<T> c) {
  int64_t row = 0, column = 0;
  const CorrelationAxis rows = touching_taps(c.rows, &row), columns = touching_taps(c.columns, &column);
  if (rows.taps == c.rows.taps && columns.taps == c.columns.taps) return c;
  if (c.padding_counts) c.bias = bias_with_padding(c, row, rows.taps, column, columns.taps);
  c.winograd = false;  // it would need the place of that bias
  c.weights += row * c.weight_strides.row + column * c.weight_strides.column;
  c.rows = rows;
  c.columns = columns;
  return c;
}

// Where no output sees a source.
template <typename T>
void write_bias(const Correlation<T>& c) {
  const int64_t channels = c.groups * c.out_channels;
  parallel(0, c.images * c.rows.out, grain_for(c.columns.out * channels / kWidth<T>), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* output = c.output + row / c.rows.out * c.output_strides.image + row % c.rows.out * c.output_strides.row;
      for (int64_t q = 0; q < c.columns.out; ++q) {
        T* p = output + q * c.output_strides.column;
        c.bias == nullptr ? memset(p, 0, sizeof(T) * channels) : memcpy(p, c.bias, sizeof(T) * channels);
      }
      if (c.activation.kind != ActivationKind::Linear) activate_row(c.activation, output, c.columns.out * channels);
    }
  });
}

template <typename T>
void correlate_any(Correlation<T> c) {
  if (c.images == 0 || c.rows.out == 0 || c.columns.out == 0 || c.out_channels == 0) return;
  if (c.in_channels == 0) c.rows.taps = c.columns.taps = 0;
  c = trimmed(c);
  if (c.rows.taps == 0 || c.columns.taps == 0) return write_bias(c);
  if (c.groups > 1 && c.in_channels == 1) {
    if (!correlate_depthwise(c)) correlate_inside(c);
    return;
  }
  if (const int64_t side = side_of(c)) return correlate_by_winograd(c, side);
  Plan<T> plan{};
  plan.c = c;
  plan.panels = {c.out_channels};
  plan.depth = c.rows.taps * c.columns.taps * c.in_channels;
  plan.packed_group = (plan.depth + 1) * plan.panels.total_width();
  plan.pixel = c.groups * c.in_channels;
  plan.few = plan.depth <= kFewTaps;
  choose_blocks(plan);
  pack_weights(plan);
  if (!plan.finite && !c.padding_counts) return correlate_inside(c);
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
