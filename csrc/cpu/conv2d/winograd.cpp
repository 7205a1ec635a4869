#include "cpu/conv2d/winograd.h"

#include "cpu/conv2d/correlation_tile.h"
#include "cpu/conv2d/pack_weights.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// One call. Tiles are numbered over all images; V[position][tile][channel] are transformed inputs,
// U[position][channel][output] transformed weights of one panel of output channels, M their products.
struct Plan {
  Correlation<float> c;
  Panels<float> panels;
  WinogradTiles tiles;
  int64_t row;   // of V: input channels and some, so that rows do not fall on few sets of the cache
  bool streams;  // outputs go past the caches, a line each
};

constexpr int64_t kBlockTiles = 2 * kMaxTile;    // whose V and M stay in L2
constexpr int64_t kFewTiles = 128;               // too few to pay for U of all panels
constexpr int64_t kChunkTiles = 64;              // whose M for one panel stays in L2
constexpr int64_t kBlockChannels = 64;           // of a piece of U that stays in L2
constexpr int64_t kStreamedFloats = 512 * 1024;  // of output that do not find a place in L2
constexpr int64_t kPad = 16;                     // between positions, which else fall on one set of the cache

template <int kOutputs>
constexpr int64_t kPositions = Winograd<kOutputs>::kSide * Winograd<kOutputs>::kSide;

// U of the input channels begin..begin+count of a panel, in rows of the panel's width, `position` apart.
template <int kOutputs>
void transform_weights(const Plan& plan, int64_t panel, int64_t begin, int64_t count, float* u, int64_t position) {
  constexpr int kSide = Winograd<kOutputs>::kSide;
  constexpr int64_t kStep = 16;
  const WeightStrides& strides = plan.c.weight_strides;
  const int64_t width = plan.panels.width(panel), columns = plan.panels.columns(panel);
  const float* weights = plan.c.weights + plan.panels.first(panel) * strides.out;
  float taps[9][kStep * 2 * kWidth<float>];
  for (int64_t k = 0; k < count; k += kStep) {
    const int64_t rows = min_of(kStep, count - k);
    for (int64_t t = 0; t < 9; ++t) {
      pack_tap(strides, weights + t / 3 * strides.row + t % 3 * strides.column, begin + k, rows, columns, width,
               taps[t]);
    }
    for (int64_t at = 0; at < rows * width; at += kWidth<float>) {
      float* out = u + k * width + at;
      transform_square<3, kSide>([](const V* g, V* v) { Winograd<kOutputs>::kernel(g, v); },
                                 [&](int i, int j) { return load(taps[3 * i + j] + at); },
                                 [&](int i, int j, V value) { store(out + (kSide * i + j) * position, value); });
    }
  }
}

template <int kOutputs>
void transform_inputs(const Plan& plan, int64_t begin, int64_t end, const float* zeros, float* v, int64_t position) {
  const Correlation<float>& c = plan.c;
  const int64_t per_image = plan.tiles.rows * plan.tiles.columns;
  for (int64_t tile = begin; tile < end; ++tile, v += plan.row) {
    const float* image = c.source + tile / per_image * c.rows.size * c.columns.size * c.in_channels;
    const int64_t row = tile % per_image / plan.tiles.columns * kOutputs - c.rows.pad;
    const int64_t column = tile % plan.tiles.columns * kOutputs - c.columns.pad;
    transform_input_tile<kOutputs>(image, c.rows.size, c.columns.size, c.in_channels, row, column, zeros, v, position);
  }
}

// M = V U, or added to M, for `channels` of the sum: a matrix product per position.
struct Product {
  const float* v;
  int64_t v_row, v_position;
  const float* u;
  int64_t u_position;
  int64_t channels;
  float* m;
  int64_t m_position;
  int64_t tiles;
  int64_t width;
  const float* zeros;
  bool accumulate;
};

void multiply(const Product& p, int64_t positions) {
  int64_t sources[kMaxTile], outputs[kMaxTile];
  for (int64_t i = 0; i < kMaxTile; ++i) {
    sources[i] = i * p.v_row;
    outputs[i] = i * p.width;
  }
  const int64_t none = 0, groups = ceil_div(p.tiles, kMaxTile);
  for (int64_t position = 0; position < positions; ++position) {
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t from = p.tiles * group / groups, to = p.tiles * (group + 1) / groups;
      CorrelationTile<float> tile{};
      tile.source = p.v + position * p.v_position + from * p.v_row;
      tile.source_offsets = sources;
      tile.output = p.m + position * p.m_position + from * p.width;
      tile.output_offsets = outputs;
      tile.runs = {1, p.channels, &none, 1};
      tile.bias = p.zeros;
      tile.panel = p.u + position * p.u_position;
      tile.columns = p.width;
      tile.accumulate = p.accumulate;
      correlation_tile(0.0f, static_cast<int>(p.width / kWidth<float>), to - from)(tile);
    }
  }
}

// y = A^T m A + bias, clipped if so wanted, for one tile and panel.
template <int kOutputs>
void write_tile(const Plan& plan, int64_t tile, int64_t panel, const float* m, int64_t position) {
  constexpr int kSide = Winograd<kOutputs>::kSide;
  const Correlation<float>& c = plan.c;
  const int64_t per_image = plan.tiles.rows * plan.tiles.columns, first = plan.panels.first(panel);
  const int64_t row = tile % per_image / plan.tiles.columns * kOutputs, column = tile % plan.tiles.columns * kOutputs;
  const int64_t rows = min_of(kOutputs, c.rows.out - row), columns = min_of(kOutputs, c.columns.out - column);
  const OutputStrides& strides = c.output_strides;
  float* y = c.output + tile / per_image * strides.image + row * strides.row + column * strides.column + first;
  const bool relu = c.activation.kind == ActivationKind::Relu;
  for (int64_t at = 0; at < plan.panels.columns(panel); at += kWidth<float>) {
    const int64_t left = min_of(kWidth<float>, plan.panels.columns(panel) - at);
    const V bias = c.bias == nullptr ? V{} : load_partial(c.bias + first + at, left);
    const auto read = [&](int i, int j) { return load(m + (kSide * i + j) * position + at); };
    const auto finish = [&](V value) {
      const V sum = value + bias;
      return relu ? max(sum, V{}) : sum;
    };
    const auto transform = [](const V* from, V* to) { Winograd<kOutputs>::output(from, to); };
#pragma GCC unroll 4
    for (int i = 0; i < kOutputs && !plan.streams; ++i) {  // what the next tile writes
#pragma GCC unroll 4
      for (int j = kOutputs; j < 2 * kOutputs; ++j) {
        __builtin_prefetch(y + i * strides.row + j * strides.column + at, 1);
      }
    }
    const auto put = [&](int i, int j, V value) {
      float* p = y + i * strides.row + j * strides.column + at;
      plan.streams ? stream(p, finish(value)) : store(p, finish(value));
    };
    if (rows == kOutputs && columns == kOutputs && left == kWidth<float>) {
      transform_square<kSide, kOutputs>(transform, read, put);
    } else if (left == kWidth<float>) {
      transform_square<kSide, kOutputs>(transform, read, [&](int i, int j, V value) {
        if (i < rows && j < columns) put(i, j, value);
      });
    } else {
      transform_square<kSide, kOutputs>(transform, read, [&](int i, int j, V value) {
        if (i < rows && j < columns) store_partial(y + i * strides.row + j * strides.column + at, finish(value), left);
      });
    }
  }
}

// What is no relu, once all channels of a tile are there.
template <int kOutputs>
void activate_tile(const Plan& plan, int64_t tile) {
  const Correlation<float>& c = plan.c;
  const int64_t per_image = plan.tiles.rows * plan.tiles.columns;
  const int64_t row = tile % per_image / plan.tiles.columns * kOutputs, column = tile % plan.tiles.columns * kOutputs;
  const int64_t columns = min_of(kOutputs, c.columns.out - column);
  float* y = c.output + tile / per_image * c.output_strides.image + column * c.output_strides.column;
  for (int64_t p = row; p < min_of(row + kOutputs, c.rows.out); ++p) {
    activate_row(c.activation, y + p * c.output_strides.row, columns * c.output_strides.column);
  }
}

bool activates_tiles(Activation activation) {
  return activation.kind != ActivationKind::Linear && activation.kind != ActivationKind::Relu;
}

template <int kOutputs>
void activate_tiles(const Plan& plan, int64_t begin, int64_t end) {
  if (!activates_tiles(plan.c.activation)) return;
  for (int64_t tile = begin; tile < end; ++tile) activate_tile<kOutputs>(plan, tile);
}

float* scratch(ScratchSlot slot, int64_t floats) {
  return static_cast<float*>(thread_scratch(slot, sizeof(float) * static_cast<uint64_t>(floats)));
}

float* zeros_for(const Plan& plan) {
  const int64_t count = max_of(plan.row, 2 * kWidth<float>);
  float* zeros = scratch(kScratchPad, count);
  memset(zeros, 0, sizeof(float) * static_cast<uint64_t>(count));
  return zeros;
}

// Many tiles: U of all panels first, then blocks of tiles.
template <int kOutputs>
void correlate_blocks(Plan& plan) {
  constexpr int64_t kStep = 16;
  const int64_t in = plan.c.in_channels, pieces = ceil_div(in, kStep);
  const auto position_of = [&](int64_t panel) { return in * plan.panels.width(panel) + kPad; };
  const int64_t panel_size = kPositions<kOutputs> * (in * 2 * kWidth<float> + kPad);
  float* u = scratch(kScratchOuter, plan.panels.count() * panel_size);
  parallel(0, plan.panels.count() * pieces, 4, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t panel = task / pieces, from = task % pieces * kStep, width = plan.panels.width(panel);
      transform_weights<kOutputs>(plan, panel, from, min_of(kStep, in - from), u + panel * panel_size + from * width,
                                  position_of(panel));
    }
  });

  // (No sum depends on how tiles fall into blocks, so their number may follow the threads.)
  const int64_t threads = num_threads(), blocks = ceil_div(ceil_div(plan.tiles.count, kBlockTiles), threads) * threads;
  parallel(0, blocks, 1, [&](int64_t begin, int64_t end) {
    const float* zeros = zeros_for(plan);
    for (int64_t block = begin; block < end; ++block) {
      const int64_t from = plan.tiles.count * block / blocks, to = plan.tiles.count * (block + 1) / blocks;
      const int64_t tiles = to - from, v_position = tiles * plan.row, m_position = tiles * 2 * kWidth<float> + kPad;
      float* v = scratch(kScratchA, kPositions<kOutputs> * v_position);
      float* m = scratch(kScratchB, kPositions<kOutputs> * m_position);
      transform_inputs<kOutputs>(plan, from, to, zeros, v, v_position);
      for (int64_t panel = 0; panel < plan.panels.count(); ++panel) {
        const int64_t width = plan.panels.width(panel);
        multiply({v, plan.row, v_position, u + panel * panel_size, position_of(panel), in, m, m_position, tiles, width,
                  zeros, false},
                 kPositions<kOutputs>);
        for (int64_t t = 0; t < tiles; ++t) write_tile<kOutputs>(plan, from + t, panel, m + t * width, m_position);
      }
      activate_tiles<kOutputs>(plan, from, to);
    }
    if (plan.streams) finish_streaming();
  });
}

// Few tiles: V of all of them first; then panels, whose U is used for a chunk of tiles as soon as a piece is made.
template <int kOutputs>
void correlate_panels(Plan& plan) {
  const int64_t in = plan.c.in_channels, all = plan.tiles.count, v_position = all * plan.row + kPad;
  float* v = scratch(kScratchOuter, kPositions<kOutputs> * v_position);
  parallel(0, all, 1, [&](int64_t begin, int64_t end) {
    transform_inputs<kOutputs>(plan, begin, end, zeros_for(plan), v + begin * plan.row, v_position);
  });
  const int64_t chunks = ceil_div(all, kChunkTiles);
  parallel(0, plan.panels.count() * chunks, 1, [&](int64_t begin, int64_t end) {
    const float* zeros = zeros_for(plan);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t panel = task / chunks, width = plan.panels.width(panel);
      const int64_t from = all * (task % chunks) / chunks, tiles = all * (task % chunks + 1) / chunks - from;
      const int64_t u_position = kBlockChannels * width + kPad, m_position = tiles * width + kPad;
      float* u = scratch(kScratchA, kPositions<kOutputs> * u_position);
      float* m = scratch(kScratchB, kPositions<kOutputs> * m_position);
      for (int64_t k = 0; k < in; k += kBlockChannels) {
        const int64_t channels = min_of(kBlockChannels, in - k);
        transform_weights<kOutputs>(plan, panel, k, channels, u, u_position);
        multiply({v + from * plan.row + k, plan.row, v_position, u, u_position, channels, m, m_position, tiles, width,
                  zeros, k > 0},
                 kPositions<kOutputs>);
      }
      for (int64_t t = 0; t < tiles; ++t) write_tile<kOutputs>(plan, from + t, panel, m + t * width, m_position);
    }
  });
  parallel(0, all, 8, [&](int64_t begin, int64_t end) { activate_tiles<kOutputs>(plan, begin, end); });
}

template <int kOutputs>
void run(const Correlation<float>& c) {
  Plan plan{};
  plan.c = c;
  plan.panels = {c.out_channels};
  plan.tiles = winograd_tiles(kOutputs, c.images, c.rows.out, c.columns.out);
  plan.row = ceil_div(c.in_channels, kWidth<float>) * kWidth<float> + 16;
  const OutputStrides& strides = c.output_strides;
  const bool lines = kVectorBytes == 64 && aligned(c.output) && strides.column % kWidth<float> == 0 &&
                     c.out_channels % kWidth<float> == 0;
  plan.streams = lines && c.images * strides.image >= kStreamedFloats && !activates_tiles(c.activation);
  if (plan.tiles.count <= kFewTiles) {
    plan.streams = false;
    correlate_panels<kOutputs>(plan);
  } else {
    correlate_blocks<kOutputs>(plan);
  }
}

}  // namespace

// Costs in multiply-adds of a vector's lane, from the shape alone: an element of a transformed tile costs some 16 of
// them, one of transformed weights 12, and of weights that the direct sum packs 24 (measured on one core with AVX-512).
int64_t winograd_side(int64_t images, int64_t rows, int64_t columns, int64_t row_taps, int64_t in_channels,
                      int64_t out_channels) {
  if (in_channels < 16 || out_channels < 16 || images * rows * columns == 0) return 0;
  const double in = static_cast<double>(ceil_div(in_channels, 16) * 16);
  const double out = static_cast<double>(ceil_div(out_channels, 16) * 16);
  double least = in * out * (3 * static_cast<double>(images * row_taps * columns) + 9 * 24);
  int64_t best = 0;
  for (int64_t side = 2; side <= 4; side += 2) {
    const double tiles = static_cast<double>(winograd_tiles(side, images, rows, columns).count);
    const double positions = static_cast<double>((side + 2) * (side + 2));
    const double cost = positions * (tiles * in * out + 16 * tiles * (in + out) + 12 * in * out);
    if (cost >= least) continue;
    least = cost;
    best = side;
  }
  return best;
}

void correlate_winograd(const Correlation<float>& correlation, int64_t outputs) {
  outputs == 4 ? run<4>(correlation) : run<2>(correlation);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
