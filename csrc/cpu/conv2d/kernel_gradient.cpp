#include "cpu/conv2d/gradient_tile.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

constexpr int64_t kBlockPixels = 256;   // a panel of dy for these fits in L1
constexpr int64_t kChunkPixels = 4096;  // worth a private dw
constexpr int64_t kMaxChunks = 16;
constexpr int64_t kTasks = 16, kPaddedTasks = 4;
constexpr int64_t kSmallSums = 128 * 1024;  // of all chunks, which cost nearly nothing
constexpr int64_t kTilesToPack = 6;

template <typename T>
struct Plan {
  const T* x;
  const T* dy;
  int64_t images;
  CorrelationAxis rows, columns;
  int64_t groups, in_channels, out_channels;  // channels per group
  Panels<T> panels;
  int64_t depth;    // rows of one group's dw
  int64_t segment;  // rows of dw whose sources are contiguous, or all of them where those are few
  bool contiguous;
  int64_t segment_tiles;
  int64_t tiles;         // over the depth
  int64_t block_images;  // more than one only where a block takes whole images
  int64_t block_rows;
  int64_t row_blocks;
  int64_t blocks, chunks, parts;
  bool padded;
  int64_t pitch;           // columns of the images, or of the padded copies
  const int64_t* offsets;  // per depth
  T* sums;                 // chunks x groups x panels x depth x panel width
  int64_t pixel() const { return groups * in_channels; }
  int64_t sums_per_chunk() const { return groups * depth * panels.total_width(); }
};

template <typename T>
int64_t* make_offsets(const Plan<T>& plan) {
  int64_t* offsets = static_cast<int64_t*>(thread_scratch(kScratchOuter, sizeof(int64_t) * plan.depth));
  int64_t* out = offsets;
  for (int64_t i = 0; i < plan.rows.taps; ++i) {
    for (int64_t j = 0; j < plan.columns.taps; ++j) {
      const int64_t tap = (i * plan.rows.dilation * plan.pitch + j * plan.columns.dilation) * plan.pixel();
      for (int64_t c = 0; c < plan.in_channels; ++c) *out++ = tap + c;
    }
  }
  return offsets;
}

// A block's images and rows, its source, and the strides that a tile needs.
template <typename T>
GradientTile<T> open_block(const Plan<T>& plan, int64_t block) {
  const int64_t image = block / plan.row_blocks * plan.block_images;
  const int64_t begin = block % plan.row_blocks * plan.block_rows;
  GradientTile<T> tile{};
  tile.images = min_of(plan.block_images, plan.images - image);
  tile.rows = min_of(plan.block_rows, plan.rows.out - begin);
  tile.columns = plan.columns.out;
  const int64_t from = begin * plan.rows.stride - plan.rows.pad, height = reach(plan.rows, tile.rows);
  const int64_t image_size = plan.rows.size * plan.columns.size * plan.pixel();
  tile.x_row = plan.rows.stride * plan.pitch * plan.pixel();
  tile.x_column = plan.columns.stride * plan.pixel();
  if (plan.padded) {
    tile.x_image = height * plan.pitch * plan.pixel();
    T* copy = static_cast<T*>(thread_scratch(kScratchPad, sizeof(T) * tile.images * tile.x_image));
    for (int64_t n = 0; n < tile.images; ++n) {
      copy_padded(plan.x + (image + n) * image_size, plan.rows.size, plan.columns.size, plan.pixel(), from, height,
                  plan.columns.pad, plan.pitch, copy + n * tile.x_image);
    }
    tile.x = copy;
  } else {
    tile.x_image = image_size;
    tile.x = plan.x + image * image_size + (from * plan.pitch - plan.columns.pad) * plan.pixel();
  }
  const int64_t dy_pixel = plan.groups * plan.out_channels;
  tile.dy_column = dy_pixel;
  tile.dy_row = plan.columns.out * dy_pixel;
  tile.dy_image = plan.rows.out * tile.dy_row;
  tile.dy = plan.dy + image * tile.dy_image + begin * tile.dy_row;
  return tile;
}

// One panel of dy, dense and filled up with zeros: where it is narrower than its vectors, and where enough
// tiles read it that the far pitch of many channels, which maps to few sets of L1, costs more than a copy.
template <typename T>
void pack_panel(GradientTile<T>& tile, int64_t columns, int64_t width) {
  const int64_t pixels = tile.rows * tile.columns;
  T* packed = static_cast<T*>(thread_scratch(kScratchC, sizeof(T) * tile.images * pixels * width));
  for (int64_t n = 0; n < tile.images; ++n) {
    const T* from = tile.dy + n * tile.dy_image;
    T* to = packed + n * pixels * width;
    for (int64_t p = 0; p < pixels; ++p, from += tile.dy_column, to += width) {
      for (int64_t o = 0; o < width; o += kWidth<T>) {
        store(to + o, load_partial(from + o, min_of(kWidth<T>, max_of(0, columns - o))));
      }
    }
  }
  tile.dy = packed;
  tile.dy_column = width;
  tile.dy_row = tile.columns * width;
  tile.dy_image = pixels * width;
}

// Adds a block to the tiles begin..end of all (group, panel, tile) triples of a chunk's sums.
template <typename T>
void add_block(const Plan<T>& plan, const GradientTile<T>& block, int64_t begin, int64_t end, bool first, T* sums) {
  for (int64_t unit = begin; unit < end;) {
    const int64_t panel_index = unit / plan.tiles;
    const int64_t group = panel_index / plan.panels.count(), panel = panel_index % plan.panels.count();
    const int64_t width = plan.panels.width(panel), columns = plan.panels.columns(panel);
    GradientTile<T> tile = block;
    tile.first = first;
    tile.dy += group * plan.out_channels + plan.panels.first(panel);
    const int64_t readers = min_of(end, (panel_index + 1) * plan.tiles) - unit;
    const bool far = tile.dy_column > width && readers >= kTilesToPack;
    if (columns < width || far) pack_panel(tile, columns, width);
    T* panel_sums = sums + plan.depth * (group * plan.panels.total_width() + plan.panels.first(panel));
    for (; unit < end && unit / plan.tiles == panel_index; ++unit) {
      const int64_t t = unit % plan.tiles % plan.segment_tiles;
      const int64_t start = unit % plan.tiles / plan.segment_tiles * plan.segment;
      const int64_t from = start + plan.segment * t / plan.segment_tiles;
      const int64_t to = start + plan.segment * (t + 1) / plan.segment_tiles;
      tile.x = block.x + group * plan.in_channels;
      tile.offsets = plan.offsets + from;
      tile.sums = panel_sums + from * width;
      const int vectors = plan.panels.vectors(panel);
      gradient_tile(T{}, vectors, to - from, plan.contiguous)(tile);
    }
  }
}

template <typename T>
void run_task(const Plan<T>& plan, int64_t chunk, int64_t part) {
  const int64_t units = plan.groups * plan.panels.count() * plan.tiles;
  const int64_t begin = plan.blocks * chunk / plan.chunks, end = plan.blocks * (chunk + 1) / plan.chunks;
  for (int64_t block = begin; block < end; ++block) {
    add_block(plan, open_block(plan, block), units * part / plan.parts, units * (part + 1) / plan.parts, block == begin,
              plan.sums + chunk * plan.sums_per_chunk());
  }
}

// dw = the chunks' sums, in their order. Tap (i, j) of what was summed is (i + row, j + column) of dw.
template <typename T>
void reduce_chunks(const Plan<T>& plan, int64_t row, int64_t column, int64_t dw_columns, T* dw) {
  const int64_t channels = plan.groups * plan.out_channels;
  parallel(0, plan.depth, grain_for(plan.chunks * channels), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const int64_t tap = k / plan.in_channels;
      const int64_t i = tap / plan.columns.taps + row, j = tap % plan.columns.taps + column;
      T* out = dw + ((i * dw_columns + j) * plan.in_channels + k % plan.in_channels) * channels;
      for (int64_t group = 0; group < plan.groups; ++group, out += plan.out_channels) {
        for (int64_t p = 0; p < plan.panels.count(); ++p) {
          const int64_t width = plan.panels.width(p), at = plan.panels.first(p);
          const T* sums = plan.sums + plan.depth * (group * plan.panels.total_width() + at) + k * width;
          for (int64_t o = 0; o < plan.panels.columns(p); ++o) {
            T total = sums[o];
            for (int64_t s = 1; s < plan.chunks; ++s) total += sums[s * plan.sums_per_chunk() + o];
            out[at + o] = total;
          }
        }
      }
    }
  });
}

// All of dw for taps that never meet an input, only zeros around them: zero, or NaN where dy is not finite.
template <typename T>
void multiply_padding(const T* dy, int64_t pixels, int64_t channels, int64_t rows, T* dw) {
  if (rows == 0) return;
  memset(dw, 0, sizeof(T) * channels);
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t o = 0; o < channels; ++o) dw[o] += 0 * dy[p * channels + o];
  }
  for (int64_t row = 1; row < rows; ++row) memcpy(dw + row * channels, dw, sizeof(T) * channels);
}

template <typename T>
void kernel_gradient_any(const T* x, const T* dy, T* dw, const Conv2dShape& shape) {
  const WindowAxis &h = shape.window.height, &v = shape.window.width;
  Plan<T> plan{};
  plan.x = x;
  plan.dy = dy;
  plan.images = shape.images;
  int64_t first_row = 0, first_column = 0;
  plan.rows = touching_taps({h.size, h.window, h.stride, h.dilation, h.before, h.out}, &first_row);
  plan.columns = touching_taps({v.size, v.window, v.stride, v.dilation, v.before, v.out}, &first_column);
  plan.groups = shape.groups;
  plan.in_channels = shape.in_channels / shape.groups;
  plan.out_channels = shape.out_channels / shape.groups;
  const int64_t pixels = shape.images * h.out * v.out;
  const bool all = plan.rows.taps == h.window && plan.columns.taps == v.window;
  plan.depth = plan.rows.taps * plan.columns.taps * plan.in_channels;
  if (!all || pixels == 0 || plan.depth == 0) {
    multiply_padding(dy, pixels, shape.out_channels, h.window * v.window * plan.in_channels, dw);
  }
  if (pixels == 0 || plan.depth == 0) return;
  T* touched = dw + (first_row * v.window + first_column) * plan.in_channels * shape.out_channels;
  if (is_depthwise<T>(plan.groups, plan.in_channels, plan.out_channels)) {
    return kernel_gradient_depthwise(x, dy, touched, shape, plan.rows, plan.columns);
  }
  if (is_narrow(shape, plan.rows, plan.columns, kWidth<T>)) {
    return kernel_gradient_narrow(x, dy, touched, shape, plan.rows, plan.columns);
  }

  plan.panels = {plan.out_channels};
  const int64_t side_by_side = plan.groups == 1 && plan.columns.dilation == 1 ? plan.columns.taps : 1;
  plan.segment = side_by_side * plan.in_channels;
  plan.contiguous = plan.segment >= kMaxTile / 2 + 1;
  if (!plan.contiguous) plan.segment = plan.depth;
  plan.segment_tiles = ceil_div(plan.segment, kMaxTile);
  plan.tiles = plan.depth / plan.segment * plan.segment_tiles;
  plan.block_rows = min_of(h.out, ceil_div(kBlockPixels, v.out));
  plan.block_images = plan.block_rows < h.out ? 1 : ceil_div(kBlockPixels, h.out * v.out);
  plan.row_blocks = ceil_div(h.out, plan.block_rows);
  plan.blocks = ceil_div(shape.images, plan.block_images) * plan.row_blocks;
  plan.padded = sees_padding(plan.rows) || sees_padding(plan.columns);
  const int64_t cheap = min_of(pixels / kBlockPixels, kSmallSums / max_of(1, plan.sums_per_chunk()));
  plan.chunks = max_of(1, min_of(min_of(kMaxChunks, plan.blocks), max_of(cheap, pixels / kChunkPixels)));
  const int64_t tasks = plan.padded ? kPaddedTasks : kTasks;  // each copies its blocks
  plan.parts = min_of(ceil_div(tasks, plan.chunks), plan.groups * plan.panels.count() * plan.tiles);
  plan.pitch = plan.padded ? reach(plan.columns, v.out) : v.size;
  plan.offsets = make_offsets(plan);
  plan.sums = static_cast<T*>(thread_scratch(kScratchB, sizeof(T) * plan.chunks * plan.sums_per_chunk()));
  const int64_t work = pixels * plan.depth * shape.out_channels / (plan.chunks * plan.parts);
  parallel(0, plan.chunks * plan.parts, grain_for(work / kWidth<T>), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) run_task(plan, task / plan.parts, task % plan.parts);
  });
  reduce_chunks(plan, first_row, first_column, v.window, dw);
}

}  // namespace

void kernel_gradient(const float* x, const float* dy, float* dw, const Conv2dShape& shape) {
  const WindowAxis &h = shape.window.height, &v = shape.window.width;
  const auto plain = [](const WindowAxis& axis) { return axis.window == 3 && axis.stride == 1 && axis.dilation == 1; };
  if (shape.winograd && shape.groups == 1 && plain(h) && plain(v)) {
    const int64_t side = winograd_side(shape.images, h.out, v.out, 3 * h.out, shape.in_channels, shape.out_channels);
    if (side != 0) return kernel_gradient_winograd(x, dy, dw, shape, side);
  }
  kernel_gradient_any(x, dy, dw, shape);
}
void kernel_gradient(const double* x, const double* dy, double* dw, const Conv2dShape& shape) {
  kernel_gradient_any(x, dy, dw, shape);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
