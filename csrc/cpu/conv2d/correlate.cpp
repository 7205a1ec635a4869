#include "cpu/conv2d/correlation_plan.h"
#include "cpu/conv2d/few_taps.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

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
void multiply_rows(const Plan<T>& plan, const Block& block, int64_t from_row, int64_t to_row, int vectors,
                   CorrelationTile<T> tile) {
  const int64_t pixels = (to_row - from_row) * block.row_pixels, start = from_row * block.row_pixels;
  const int64_t tiles = ceil_div(pixels, plan.narrow ? narrow_pixels<T>(tile.columns) : kMaxTile);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t from = pixels * t / tiles, to = pixels * (t + 1) / tiles;
    tile.source_offsets = block.source_offsets + start + from;
    tile.output_offsets = block.output_offsets + start + from;
    plan.narrow ? narrow_tile(T{}, tile.columns)(tile, to - from) : correlation_tile(T{}, vectors, to - from)(tile);
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
      const int64_t width = plan.narrow ? kWidth<T> : plan.panels.width(p);
      const int64_t run_size = plan.narrow ? narrow_run_size<T>(runs.length, c.out_channels) : runs.length * width;
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
        tile.panel = bias + width + skipped * run_size;
        multiply_rows(plan, block, row, end, plan.panels.vectors(p), tile);
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
                  columns, padded + n * copy_size, plan.few || !plan.finite);
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

template <typename T>
void correlate_any(Correlation<T> c);

// The outputs begin..end of an axis, which see these taps only.
CorrelationAxis section(CorrelationAxis axis, int64_t begin, int64_t end, TapRange taps) {
  axis.pad -= taps.begin * axis.dilation + begin * axis.stride;
  axis.taps = taps.end - taps.begin;
  axis.out = end - begin;
  return axis;
}

// A last row or column by itself would take tiles of which it uses a quarter: the direct sum costs less, once the
// images pay for packing the weights (216 multiply-adds of a lane for each of them, as winograd_side counts).
int64_t whole_tiles(const Correlation<float>& c, int64_t out, int64_t side) {
  constexpr int64_t kImages = 8;
  return side == 4 && out > 4 && out % 4 == 1 && c.images >= kImages ? out - 1 : out;
}

void correlate_by_winograd(const Correlation<float>& c, int64_t side) {
  const TapRange all{0, 3};
  const int64_t rows = whole_tiles(c, c.rows.out, side), columns = whole_tiles(c, c.columns.out, side);
  const auto part = [&](int64_t p, int64_t p_end, int64_t q, int64_t q_end) {
    Correlation<float> c_part = c;
    c_part.winograd = false;
    c_part.rows = section(c.rows, p, p_end, all);
    c_part.columns = section(c.columns, q, q_end, all);
    c_part.output += p * c.output_strides.row + q * c.output_strides.column;
    return c_part;
  };
  correlate_winograd(part(0, rows, 0, columns), side);
  if (columns < c.columns.out) correlate_any(part(0, rows, columns, c.columns.out));
  if (rows < c.rows.out) correlate_any(part(rows, c.rows.out, 0, c.columns.out));
}
void correlate_by_winograd(const Correlation<double>&, int64_t) {}

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
  if (is_depthwise<T>(c.groups, c.in_channels, c.out_channels)) {
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
  const int64_t taps = c.rows.taps * c.columns.taps;
  int64_t* offsets = static_cast<int64_t*>(thread_scratch(kScratchOuter, sizeof(int64_t) * 2 * taps));
  plan.runs_direct = make_runs(c, c.columns.size, offsets);
  plan.runs_padded = make_runs(c, reach(c.columns, c.columns.out), offsets + taps);
  const Runs& runs = plan.runs_direct;
  plan.narrow = !plan.few && narrow_pays<T>(c.out_channels, runs.count, runs.length);
  if (plan.narrow) plan.packed_group = kWidth<T> + runs.count * narrow_run_size<T>(runs.length, c.out_channels);
  choose_blocks(plan);
  pack_weights(plan);
  if (!plan.finite && !c.padding_counts) return correlate_inside(c);
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
