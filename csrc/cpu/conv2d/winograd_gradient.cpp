// The kernel's gradient by Winograd's algorithm: the transpose of Y = A^T [ (G g G^T) * (B^T d B) ] A with respect to
// g,
//   dg = G^T [ sum over tiles of (A dY A^T) * (B^T d B) ] G,
// where the sums are matrix products over the tiles, one per position.
#include "cpu/conv2d/gradient_tile.h"
#include "cpu/conv2d/winograd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

constexpr int64_t kChunkTiles = 256;  // transformed together: they stay in the last level of cache
constexpr int64_t kPad = 16;          // between positions, which else fall on one set of the cache

// V[position][tile][channel] = B^T d B, W[panel][position][tile][output] = A dY A^T, and
// P[panel][group][position][channel of the group][output] their products over the tiles.
struct Plan {
  const float *x, *dy;
  float* dw;
  WindowAxis rows, columns;
  int64_t images, in, out;
  Panels<float> panels;
  WinogradTiles tiles;
  int64_t groups;  // of input channels, at most kMaxTile each
  int64_t v_row, v_position, w_position, w_panel;
  float *v, *w;
  int64_t group_begin(int64_t group) const { return in * group / groups; }
};

constexpr int64_t kPanel = 2 * kWidth<float>;
constexpr int64_t kTile = kMaxTile * kPanel + kPad;  // of P, for one position

template <int kOutputs>
constexpr int64_t kPositions = Winograd<kOutputs>::kSide * Winograd<kOutputs>::kSide;

// A dY A^T of one tile and vector of outputs; beyond the map there are zeros.
template <int kOutputs>
RANVIER_INLINE void transform_vector(const float* dy, int64_t rows, int64_t columns, int64_t row_step, int64_t step,
                                     int64_t left, float* w, int64_t position) {
  constexpr int kSide = Winograd<kOutputs>::kSide;
  const auto transform = [](const V* y, V* m) { Winograd<kOutputs>::gradient(y, m); };
  const auto write = [&](int i, int j, V value) { store(w + (kSide * i + j) * position, value); };
#pragma GCC unroll 4
  for (int i = 0; i < kOutputs; ++i) {  // what the next tile reads
#pragma GCC unroll 4
    for (int j = kOutputs; j < 2 * kOutputs; ++j) __builtin_prefetch(dy + i * row_step + j * step);
  }
  if (rows >= kOutputs && columns >= kOutputs && left == kWidth<float>) {
    transform_square<kOutputs, kSide>(
        transform, [&](int i, int j) { return load(dy + i * row_step + j * step); }, write);
  } else {
    const auto read = [&](int i, int j) {
      return i < rows && j < columns ? load_partial(dy + i * row_step + j * step, left) : V{};
    };
    transform_square<kOutputs, kSide>(transform, read, write);
  }
}

// V and W of one tile, which is number `index` of its chunk.
template <int kOutputs>
void transform_tile(const Plan& plan, int64_t tile, int64_t index, const float* zeros) {
  const int64_t per_image = plan.tiles.rows * plan.tiles.columns, image = tile / per_image;
  const int64_t row = tile % per_image / plan.tiles.columns * kOutputs, column = tile % plan.tiles.columns * kOutputs;
  transform_input_tile<kOutputs>(plan.x + image * plan.rows.size * plan.columns.size * plan.in, plan.rows.size,
                                 plan.columns.size, plan.in, row - plan.rows.before, column - plan.columns.before,
                                 zeros, plan.v + index * plan.v_row, plan.v_position);
  const float* dy = plan.dy + ((image * plan.rows.out + row) * plan.columns.out + column) * plan.out;
  for (int64_t panel = 0; panel < plan.panels.count(); ++panel) {
    const int64_t columns = plan.panels.columns(panel), width = plan.panels.width(panel);
    float* w = plan.w + panel * plan.w_panel + index * width;
    for (int64_t at = 0; at < width; at += kWidth<float>) {
      transform_vector<kOutputs>(dy + plan.panels.first(panel) + at, plan.rows.out - row, plan.columns.out - column,
                                 plan.columns.out * plan.out, plan.out, min_of(kWidth<float>, columns - at), w + at,
                                 plan.w_position);
    }
  }
}

// Adds a chunk of tiles to P of one panel, group and position.
void multiply(const Plan& plan, int64_t panel, int64_t group, int64_t position, int64_t tiles, bool first, float* p) {
  const int64_t none = 0, begin = plan.group_begin(group), count = plan.group_begin(group + 1) - begin;
  GradientTile<float> tile{};
  tile.x = plan.v + position * plan.v_position + begin;
  tile.offsets = &none;
  tile.dy = plan.w + panel * plan.w_panel + position * plan.w_position;
  tile.sums = p;
  tile.first = first;
  tile.images = tile.rows = 1;
  tile.columns = tiles;
  tile.x_column = plan.v_row;
  tile.dy_column = plan.panels.width(panel);
  gradient_tile(0.0f, plan.panels.vectors(panel), count, true)(tile);
}

// dg = G^T P G.
template <int kOutputs>
void write_group(const Plan& plan, int64_t panel, int64_t group, const float* p) {
  constexpr int kSide = Winograd<kOutputs>::kSide;
  const int64_t begin = plan.group_begin(group), width = plan.panels.width(panel);
  for (int64_t k = begin; k < plan.group_begin(group + 1); ++k, p += width) {
    for (int64_t at = 0; at < plan.panels.columns(panel); at += kWidth<float>) {
      float* dw = plan.dw + k * plan.out + plan.panels.first(panel) + at;
      const int64_t left = min_of(kWidth<float>, plan.panels.columns(panel) - at);
      transform_square<kSide, 3>(
          [](const V* u, V* g) { Winograd<kOutputs>::kernel_gradient(u, g); },
          [&](int i, int j) { return load(p + (kSide * i + j) * kTile + at); },
          [&](int i, int j, V value) { store_partial(dw + (3 * i + j) * plan.in * plan.out, value, left); });
    }
  }
}

float* scratch(ScratchSlot slot, int64_t floats) {
  return static_cast<float*>(thread_scratch(slot, sizeof(float) * static_cast<uint64_t>(floats)));
}

template <int kOutputs>
void transform_chunk(const Plan& plan, int64_t from, int64_t to) {
  parallel(from, to, 4, [&](int64_t begin, int64_t end) {
    float* zeros = scratch(kScratchPad, plan.v_row);
    memset(zeros, 0, sizeof(float) * static_cast<uint64_t>(plan.v_row));
    for (int64_t tile = begin; tile < end; ++tile) transform_tile<kOutputs>(plan, tile, tile - from, zeros);
  });
}

// One chunk: P of a panel and group at a time, which never leaves L2.
template <int kOutputs>
void sum_one_chunk(const Plan& plan) {
  transform_chunk<kOutputs>(plan, 0, plan.tiles.count);
  parallel(0, plan.panels.count() * plan.groups, 1, [&](int64_t begin, int64_t end) {
    float* p = scratch(kScratchA, kPositions<kOutputs> * kTile);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t panel = unit / plan.groups, group = unit % plan.groups;
      for (int64_t i = 0; i < kPositions<kOutputs>; ++i) {
        multiply(plan, panel, group, i, plan.tiles.count, true, p + i * kTile);
      }
      write_group<kOutputs>(plan, panel, group, p);
    }
  });
}

// Chunk after chunk into all of P, so that the order of each sum is that of the tiles.
template <int kOutputs>
void sum_chunks(const Plan& plan, int64_t chunks) {
  const int64_t unit_size = kPositions<kOutputs> * kTile;
  float* p = scratch(kScratchB, plan.panels.count() * plan.groups * unit_size);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t from = plan.tiles.count * chunk / chunks, to = plan.tiles.count * (chunk + 1) / chunks;
    transform_chunk<kOutputs>(plan, from, to);
    parallel(0, plan.panels.count() * kPositions<kOutputs>, 1, [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t panel = unit / kPositions<kOutputs>, position = unit % kPositions<kOutputs>;
        for (int64_t group = 0; group < plan.groups; ++group) {
          float* sums = p + (panel * plan.groups + group) * unit_size + position * kTile;
          multiply(plan, panel, group, position, to - from, chunk == 0, sums);
        }
      }
    });
  }
  parallel(0, plan.panels.count() * plan.groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      write_group<kOutputs>(plan, unit / plan.groups, unit % plan.groups, p + unit * unit_size);
    }
  });
}

template <int kOutputs>
void run(const float* x, const float* dy, float* dw, const Conv2dShape& shape) {
  Plan plan{};
  plan.x = x;
  plan.dy = dy;
  plan.dw = dw;
  plan.rows = shape.window.height;
  plan.columns = shape.window.width;
  plan.images = shape.images;
  plan.in = shape.in_channels;
  plan.out = shape.out_channels;
  plan.panels = {shape.out_channels};
  plan.tiles = winograd_tiles(kOutputs, shape.images, plan.rows.out, plan.columns.out);
  plan.groups = ceil_div(plan.in, kMaxTile);
  const int64_t chunks = ceil_div(plan.tiles.count, kChunkTiles), tiles = ceil_div(plan.tiles.count, chunks);
  plan.v_row = ceil_div(plan.in, kWidth<float>) * kWidth<float> + 16;
  plan.v_position = tiles * plan.v_row + kPad;
  plan.w_position = tiles * kPanel + kPad;
  plan.w_panel = kPositions<kOutputs> * plan.w_position;
  plan.v = scratch(kScratchOuter, kPositions<kOutputs> * plan.v_position);
  plan.w = scratch(kScratchC, plan.panels.count() * plan.w_panel);
  if (chunks == 1) {
    sum_one_chunk<kOutputs>(plan);
  } else {
    sum_chunks<kOutputs>(plan, chunks);
  }
}

}  // namespace

void kernel_gradient_winograd(const float* x, const float* dy, float* dw, const Conv2dShape& shape, int64_t outputs) {
  outputs == 4 ? run<4>(x, dy, dw, shape) : run<2>(x, dy, dw, shape);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
