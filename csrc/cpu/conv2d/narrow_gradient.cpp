// The kernel's gradient where a group has few output channels, which would leave most of a vector's lanes empty: the
// roles of x and dy change. NHWC makes the columns and input channels under one kernel row contiguous; vectors run over
// those, and the rows of a register tile are output channels.
#include "cpu/conv2d/gradient_tile.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

constexpr int64_t kMinPixels = 32, kMaxPixels = 256;  // of a block
constexpr int64_t kMaxChunks = 16;
constexpr int64_t kMaxParts = 4;  // of a chunk, each of which copies its blocks

// Sums lie as [chunk][group][segment][panel of the segment][output channel][panel width].
template <typename T>
struct Plan {
  const T *x, *dy;
  int64_t images;
  CorrelationAxis rows, columns;
  int64_t groups, in_channels, out_channels;  // channels per group
  int64_t segment;                            // elements under a kernel row, or under a tap where columns lie apart
  int64_t segments;
  Panels<T> panels;  // of a segment
  int64_t tiles;     // of output channels
  int64_t block_images, block_rows, row_blocks, blocks, chunks, parts;
  int64_t pitch;  // columns of the copies
  T* sums;
  int64_t segment_sums() const { return panels.total_width() * out_channels; }
  int64_t chunk_sums() const { return groups * segments * segment_sums(); }
};

// A block of x with its padding, group by group. Tiles read whole vectors: there is room for one more after each.
template <typename T>
struct Block {
  int64_t image, images, begin, rows;
  const T* x;
  int64_t x_image, x_group;
};

template <typename T>
Block<T> open_block(const Plan<T>& plan, int64_t number) {
  Block<T> block{};
  block.image = number / plan.row_blocks * plan.block_images;
  block.images = min_of(plan.block_images, plan.images - block.image);
  block.begin = number % plan.row_blocks * plan.block_rows;
  block.rows = min_of(plan.block_rows, plan.rows.out - block.begin);
  const int64_t from = block.begin * plan.rows.stride - plan.rows.pad, height = reach(plan.rows, block.rows);
  const int64_t pixel = plan.groups * plan.in_channels, pixels = height * plan.pitch;
  block.x_image = pixels * plan.in_channels;
  block.x_group = block.images * block.x_image + 2 * kWidth<T>;
  T* copy = static_cast<T*>(thread_scratch(kScratchPad, sizeof(T) * plan.groups * block.x_group));
  T* whole = copy;  // pixels of all groups
  if (plan.groups > 1) whole = static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * (pixels * pixel + kWidth<T>)));
  for (int64_t n = 0; n < block.images; ++n) {
    const T* image = plan.x + (block.image + n) * plan.rows.size * plan.columns.size * pixel;
    T* to = copy + n * block.x_image;
    if (plan.groups == 1) whole = to;
    copy_padded(image, plan.rows.size, plan.columns.size, pixel, from, height, plan.columns.pad, plan.pitch, whole);
    for (int64_t group = 0; plan.groups > 1 && group < plan.groups; ++group, to += block.x_group) {
      const T* source = whole + group * plan.in_channels;
      for (int64_t p = 0; p < pixels; ++p) {  // whole vectors, whose ends the next ones overwrite
        for (int64_t c = 0; c < plan.in_channels; c += kWidth<T>) {
          store(to + p * plan.in_channels + c, load(source + p * pixel + c));
        }
      }
    }
  }
  block.x = copy;
  return block;
}

// Adds a block to the units begin..end of all (group, segment, panel, tile of output channels).
template <typename T>
void add_block(const Plan<T>& plan, const Block<T>& block, int64_t begin, int64_t end, bool first, T* sums) {
  const int64_t dy_pixel = plan.groups * plan.out_channels;
  GradientTile<T> tile{};
  tile.first = first;
  tile.images = block.images;
  tile.rows = block.rows;
  tile.columns = plan.columns.out;
  tile.x_column = dy_pixel;
  tile.x_row = plan.columns.out * dy_pixel;
  tile.x_image = plan.rows.out * tile.x_row;
  tile.dy_column = plan.columns.stride * plan.in_channels;
  tile.dy_row = plan.rows.stride * plan.pitch * plan.in_channels;
  tile.dy_image = block.x_image;
  const int64_t none = 0, per_row = plan.segments / plan.rows.taps;
  tile.offsets = &none;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t t = unit % plan.tiles, panel = unit / plan.tiles % plan.panels.count();
    const int64_t segment = unit / plan.tiles / plan.panels.count() % plan.segments;
    const int64_t group = unit / plan.tiles / plan.panels.count() / plan.segments;
    const int64_t from = plan.out_channels * t / plan.tiles, to = plan.out_channels * (t + 1) / plan.tiles;
    const int64_t i = segment / per_row, j = segment % per_row;
    tile.x = plan.dy + block.image * tile.x_image + block.begin * tile.x_row + group * plan.out_channels + from;
    tile.dy = block.x + group * block.x_group +
              (i * plan.rows.dilation * plan.pitch + j * plan.columns.dilation) * plan.in_channels +
              plan.panels.first(panel);
    tile.sums = sums + (group * plan.segments + segment) * plan.segment_sums() +
                plan.panels.first(panel) * plan.out_channels + from * plan.panels.width(panel);
    gradient_tile(T{}, plan.panels.vectors(panel), to - from, true)(tile);
  }
}

template <typename T>
void run_task(const Plan<T>& plan, int64_t chunk, int64_t part) {
  const int64_t units = plan.groups * plan.segments * plan.panels.count() * plan.tiles;
  const int64_t begin = plan.blocks * chunk / plan.chunks, end = plan.blocks * (chunk + 1) / plan.chunks;
  for (int64_t block = begin; block < end; ++block) {
    add_block(plan, open_block(plan, block), units * part / plan.parts, units * (part + 1) / plan.parts, block == begin,
              plan.sums + chunk * plan.chunk_sums());
  }
}

// dw = the chunks' sums, in their order.
template <typename T>
void reduce_chunks(const Plan<T>& plan, int64_t dw_columns, T* dw) {
  const int64_t channels = plan.groups * plan.out_channels, taps = plan.columns.taps;
  parallel(
      0, plan.groups * plan.segments, grain_for(plan.chunks * plan.segment_sums()), [&](int64_t begin, int64_t end) {
        for (int64_t unit = begin; unit < end; ++unit) {
          const int64_t group = unit / plan.segments, first = unit % plan.segments * plan.segment / plan.in_channels;
          const T* sums = plan.sums + unit * plan.segment_sums();
          for (int64_t e = 0; e < plan.segment; ++e) {
            const int64_t tap = first + e / plan.in_channels, panel = e / (2 * kWidth<T>);
            const int64_t row = tap / taps * dw_columns + tap % taps;
            const T* from = sums + plan.panels.first(panel) * plan.out_channels + e - plan.panels.first(panel);
            T* out = dw + (row * plan.in_channels + e % plan.in_channels) * channels + group * plan.out_channels;
            for (int64_t o = 0; o < plan.out_channels; ++o, from += plan.panels.width(panel)) {
              T total = from[0];
              for (int64_t chunk = 1; chunk < plan.chunks; ++chunk) total += from[chunk * plan.chunk_sums()];
              out[o] = total;
            }
          }
        }
      });
}

int64_t segment_of(const CorrelationAxis& columns, int64_t in_channels) {
  return columns.dilation == 1 || columns.taps == 1 ? columns.taps * in_channels : in_channels;
}

template <typename T>
void narrow_gradient(const T* x, const T* dy, T* dw, const Conv2dShape& shape, const CorrelationAxis& rows,
                     const CorrelationAxis& columns) {
  Plan<T> plan{};
  plan.x = x;
  plan.dy = dy;
  plan.images = shape.images;
  plan.rows = rows;
  plan.columns = columns;
  plan.groups = shape.groups;
  plan.in_channels = shape.in_channels / shape.groups;
  plan.out_channels = shape.out_channels / shape.groups;
  plan.segment = segment_of(columns, plan.in_channels);
  plan.segments = rows.taps * columns.taps * plan.in_channels / plan.segment;
  plan.panels = {plan.segment};
  plan.tiles = ceil_div(plan.out_channels, kMaxTile);
  plan.pitch = reach(columns, columns.out);
  const int64_t pixels = shape.images * rows.out * columns.out;
  const int64_t block_pixels = max_of(kMinPixels, min_of(kMaxPixels, pixels / kMaxChunks));
  plan.block_rows = min_of(rows.out, ceil_div(block_pixels, columns.out));
  plan.block_images = plan.block_rows < rows.out ? 1 : ceil_div(block_pixels, rows.out * columns.out);
  plan.row_blocks = ceil_div(rows.out, plan.block_rows);
  plan.blocks = ceil_div(shape.images, plan.block_images) * plan.row_blocks;
  plan.chunks = min_of(kMaxChunks, plan.blocks);
  const int64_t units = plan.groups * plan.segments * plan.panels.count() * plan.tiles;
  plan.parts = min_of(min_of(kMaxParts, kMaxChunks / plan.chunks), units);
  plan.sums = static_cast<T*>(thread_scratch(kScratchB, sizeof(T) * plan.chunks * plan.chunk_sums()));
  const int64_t work = pixels * plan.groups * plan.segments * plan.segment_sums() / kWidth<T>;
  parallel(0, plan.chunks * plan.parts, grain_for(work / (plan.chunks * plan.parts)), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) run_task(plan, task / plan.parts, task % plan.parts);
  });
  reduce_chunks(plan, shape.window.width.window, dw);
}

}  // namespace

// In loads of the tiles' loops: a tile of one vector costs as much as one of two.
bool is_narrow(const Conv2dShape& shape, const CorrelationAxis& rows, const CorrelationAxis& columns, int64_t width) {
  const int64_t in = shape.in_channels / shape.groups, out = shape.out_channels / shape.groups;
  const int64_t segment = segment_of(columns, in), depth = rows.taps * columns.taps * in;
  return 3 * (depth / segment) * out * ceil_div(segment, 2 * width) < 2 * depth * ceil_div(out, 2 * width);
}

void kernel_gradient_narrow(const float* x, const float* dy, float* dw, const Conv2dShape& shape,
                            const CorrelationAxis& rows, const CorrelationAxis& columns) {
  narrow_gradient(x, dy, dw, shape, rows, columns);
}
void kernel_gradient_narrow(const double* x, const double* dy, double* dw, const Conv2dShape& shape,
                            const CorrelationAxis& rows, const CorrelationAxis& columns) {
  narrow_gradient(x, dy, dw, shape, rows, columns);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
