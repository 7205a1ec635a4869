// The loops around the microkernel, after Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication" (2008): a block of B is packed so that it stays in L2, a panel of A so that it stays in
// L1, and tiles of C stream through the registers.
//
// The sum over k is cut into blocks of at most kBlockK<T> by the shape alone, and within a block it is one
// chain per element; packing, tile grids and threads change no bit of the result.
#include "ops/gemm.h"

#include <math.h>

#include "cpu/gemm/pack.h"
#include "cpu/gemm/tile.h"
#include "cpu/gemm/vector.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

template <typename T>
constexpr int64_t kBlockK = 1536 / sizeof(T);
template <typename T>
constexpr int64_t kPanel = kTileVectors * kWidth<T>;  // columns of a tile
// Columns of a block of B: 768 KB of L2.
template <typename T>
constexpr int64_t kBlockN = (768 * 1024 / 1536) / kPanel<T> * kPanel<T>;

// compute_tile for every height: [height - 1].
#if defined(__AVX512F__)
#define RANVIER_TILES(T, vectors)                                                                                     \
  compute_tile<T, 1, vectors>, compute_tile<T, 2, vectors>, compute_tile<T, 3, vectors>, compute_tile<T, 4, vectors>, \
      compute_tile<T, 5, vectors>, compute_tile<T, 6, vectors>, compute_tile<T, 7, vectors>,                          \
      compute_tile<T, 8, vectors>, compute_tile<T, 9, vectors>, compute_tile<T, 10, vectors>,                         \
      compute_tile<T, 11, vectors>, compute_tile<T, 12, vectors>
#define RANVIER_WIDE_TILES(T)                                                                           \
  compute_tile<T, 1, kWideVectors>, compute_tile<T, 2, kWideVectors>, compute_tile<T, 3, kWideVectors>, \
      compute_tile<T, 4, kWideVectors>
#else
#if defined(__AVX2__)
#define RANVIER_TILES(T, vectors)                                                                                     \
  compute_tile<T, 1, vectors>, compute_tile<T, 2, vectors>, compute_tile<T, 3, vectors>, compute_tile<T, 4, vectors>, \
      compute_tile<T, 5, vectors>, compute_tile<T, 6, vectors>
#else
#define RANVIER_TILES(T, vectors) \
  compute_tile<T, 1, vectors>, compute_tile<T, 2, vectors>, compute_tile<T, 3, vectors>, compute_tile<T, 4, vectors>
#endif
#define RANVIER_WIDE_TILES(T) compute_tile<T, 1, kWideVectors>, compute_tile<T, 2, kWideVectors>
#endif

template <typename T>
constexpr TileKernel<T> kNarrowTiles[kTileRows] = {RANVIER_TILES(T, 1)};
template <typename T>
constexpr TileKernel<T> kTiles[kTileRows] = {RANVIER_TILES(T, 2)};
template <typename T>
constexpr TileKernel<T> kWideTiles[kWideRows] = {RANVIER_WIDE_TILES(T)};

// What part of C one task computes.
struct Region {
  int64_t row, rows;
  int64_t column, columns;
};

// Cuts `length` into pieces of at most `most`, as even as can be: piece i is [start(i), start(i + 1)).
struct EvenCut {
  int64_t length;
  int64_t pieces;
  EvenCut(int64_t length, int64_t most) : length(length), pieces(max_of(1, ceil_div(length, most))) {}
  int64_t start(int64_t i) const { return length / pieces * i + min_of(i, length % pieces); }
};

template <typename T>
class RegionProduct {
 public:
  RegionProduct(const GemmArguments<T>& product, const Region& region) : g_(product), region_(region) {}

  void run() {
    const EvenCut k_cut(g_.k, kBlockK<T>);
    for (int64_t at = 0; at < region_.columns; at += kBlockN<T>) {
      column_ = region_.column + at;
      columns_ = min_of(kBlockN<T>, region_.columns - at);
      for (int64_t block = 0; block < k_cut.pieces; ++block) {
        k_begin_ = k_cut.start(block);
        k_ = k_cut.start(block + 1) - k_begin_;
        first_ = block == 0;
        last_ = block + 1 == k_cut.pieces;
        multiply_block();
      }
    }
  }

 private:
  // Packing B pays only if many tiles read it: prefetching hides the distance between its rows.
  bool packs_b() const {
    if (g_.transpose_b) return true;
    if (region_.rows <= 8 * kTileRows) return false;
    return g_.ldb * static_cast<int64_t>(sizeof(T)) > 2048 || region_.rows > 512;
  }

  void multiply_block() {
    packed_b_ = packs_b();
    const int64_t unpacked = packed_b_ ? 0 : columns_ / kWidth<T> * kWidth<T>;
    pack_b(unpacked);
    const EvenCut rows(region_.rows, kTileRows);
    for (int64_t i = 0; i < rows.pieces; ++i) {
      const int64_t begin = region_.row + rows.start(i);
      const int64_t height = rows.start(i + 1) - rows.start(i);
      multiply_rows(begin, height, unpacked);
      if (last_) activate_rows(begin, height);
    }
  }

  // Rows just written are still in cache. relu happened in the registers.
  void activate_rows(int64_t row, int64_t rows) {
    const ActivationKind kind = g_.activation.kind;
    if (kind == ActivationKind::Linear || kind == ActivationKind::Relu) return;
    for (int64_t i = row; i < row + rows; ++i) {
      T* c = g_.c + i * g_.ldc + column_;
      activation_kernels.template get<T>().forward(g_.activation, c, c, columns_);
    }
  }

  // Packs the block's columns from `unpacked` on (all of them, or the edge that has no whole vector).
  void pack_b(int64_t unpacked) {
    if (unpacked == columns_) return;
    const int64_t panels = ceil_div(columns_ - unpacked, kPanel<T>);
    packed_ = static_cast<T*>(thread_scratch(kScratchB, sizeof(T) * static_cast<uint64_t>(panels * kPanel<T> * k_)));
    for (int64_t j = unpacked; j < columns_; j += kPanel<T>) {
      const int64_t columns = min_of(kPanel<T>, columns_ - j);
      const int64_t width = columns <= kWidth<T> ? kWidth<T> : kPanel<T>;
      T* out = packed_ + (j - unpacked) * k_;
      if (g_.transpose_b) {
        pack_transposed_b_panel(g_.b + (column_ + j) * g_.ldb + k_begin_, g_.ldb, k_, columns, width, out);
      } else {
        pack_b_panel(g_.b + k_begin_ * g_.ldb + column_ + j, g_.ldb, k_, columns, width, out);
      }
    }
  }

  // A panel of A is read once per tile of the row: from its own rows, unless they would collide in L1 (many
  // rows a multiple of 1 KB apart share few cache sets) and are read more than once or twice.
  void locate_a(int64_t row, int64_t rows, Tile<T>& tile) {
    const int64_t stride = g_.lda * static_cast<int64_t>(sizeof(T));
    const bool collides = stride % 1024 == 0 && columns_ > 2 * kPanel<T>;
    if (g_.transpose_a) {
      tile.a = g_.a + k_begin_ * g_.lda + row;
      tile.a_row = 1;
      tile.a_step = g_.lda;
      if (!collides && (columns_ <= 4 * kPanel<T> || stride <= 1024)) return;
      tile.a_step = kTileRows;
      T* panel = a_panel(kTileRows * k_);
      copy_rows(tile.a, g_.lda, k_, rows, panel, kTileRows);
      tile.a = panel;
    } else {
      tile.a = g_.a + row * g_.lda + k_begin_;
      tile.a_row = g_.lda;
      tile.a_step = 1;
      if (!collides) return;
      tile.a_row = k_ + 64 / static_cast<int64_t>(sizeof(T));
      T* panel = a_panel(kTileRows * tile.a_row);
      copy_rows(tile.a, g_.lda, rows, k_, panel, tile.a_row);
      tile.a = panel;
    }
  }

  T* a_panel(int64_t values) {
    return static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * static_cast<uint64_t>(values)));
  }

  void multiply_rows(int64_t row, int64_t rows, int64_t unpacked) {
    Tile<T> tile;
    tile.k = k_;
    locate_a(row, rows, tile);
    tile.ldc = g_.ldc;
    tile.accumulate = g_.accumulate || !first_;
    tile.relu = last_ && g_.activation.kind == ActivationKind::Relu;
    for (int64_t j = 0; j < columns_;) {
      const int64_t left = j < unpacked ? unpacked - j : columns_ - j;
      int64_t vectors = left > kWidth<T> ? kTileVectors : 1;
      TileKernel<T> kernel = vectors == 1 ? kNarrowTiles<T>[rows - 1] : kTiles<T>[rows - 1];
      if (j < unpacked) {
        if (rows <= kWideRows && left >= kWideVectors * kWidth<T>) {
          vectors = kWideVectors;
          kernel = kWideTiles<T>[rows - 1];
        }
        tile.b = g_.b + k_begin_ * g_.ldb + column_ + j;
        tile.b_step = g_.ldb;
      } else {
        tile.b = packed_ + (j - unpacked) * k_;
        tile.b_step = vectors * kWidth<T>;
      }
      tile.columns = min_of(left, vectors * kWidth<T>);
      tile.c = g_.c + row * g_.ldc + column_ + j;
      tile.bias = last_ && g_.bias != nullptr ? g_.bias + column_ + j : nullptr;
      kernel(tile);
      j += tile.columns;
    }
  }

  const GemmArguments<T>& g_;
  const Region region_;
  int64_t column_ = 0, columns_ = 0;  // the block of C's columns
  int64_t k_begin_ = 0, k_ = 0;       // the block of the sum
  bool first_ = false, last_ = false;
  bool packed_b_ = false;
  T* packed_ = nullptr;
};

// How many threads' worth of work there is: one for each 2^19 multiply-adds (a few microseconds).
RANVIER_INLINE int64_t tasks_for(double multiply_adds) {
  constexpr double kSerial = 524288;
  const int64_t worth = multiply_adds < kSerial ? 1 : static_cast<int64_t>(multiply_adds / kSerial) + 1;
  return min_of(worth, num_threads());
}

// A grid of row_tasks x column_tasks regions; each packs its own B (rows times) and A (columns times), so
// the least is packed where regions are nearest to square.
template <typename T>
struct Grid {
  int64_t row_tasks = 1;
  int64_t column_tasks = 1;
  int64_t m, n;

  explicit Grid(const GemmArguments<T>& g) : m(g.m), n(g.n) {
    const int64_t tasks = tasks_for(double(g.m) * double(g.n) * double(g.k));
    const int64_t row_tiles = ceil_div(m, kTileRows);
    const int64_t panels = ceil_div(n, kPanel<T>);
    double best = INFINITY;
    for (int64_t rows = 1; rows <= tasks; ++rows) {
      const int64_t columns = tasks / rows;
      if (rows > row_tiles || columns > panels) continue;
      // Time of the largest region in tiles, and what packing adds to it.
      const double tiles = double(ceil_div(row_tiles, rows)) * double(ceil_div(panels, columns));
      const double cost = tiles + 0.02 * (double(row_tiles) / rows + 4 * double(panels) / columns);
      if (cost < best) {
        best = cost;
        row_tasks = rows;
        column_tasks = columns;
      }
    }
  }

  Region region(int64_t task) const {
    const int64_t i = task / column_tasks;
    const int64_t j = task % column_tasks;
    const int64_t row_unit = 4;
    const int64_t row = edge(m, row_unit, row_tasks, i);
    const int64_t column = edge(n, kPanel<T>, column_tasks, j);
    return {row, edge(m, row_unit, row_tasks, i + 1) - row, column, edge(n, kPanel<T>, column_tasks, j + 1) - column};
  }

  static int64_t edge(int64_t length, int64_t unit, int64_t pieces, int64_t i) {
    return min_of(length, ceil_div(length, unit) * i / pieces * unit);
  }
};

// A^T x, a column, is x^T A, a row: whole rows of A can be added up.
template <typename T>
GemmArguments<T> column_as_row(const GemmArguments<T>& g) {
  GemmArguments<T> row = g;
  row.m = 1;
  row.n = g.m;
  row.transpose_a = !g.transpose_b;
  row.a = g.b;
  row.lda = g.ldb;
  row.transpose_b = false;
  row.b = g.a;
  row.ldb = g.lda;
  row.ldc = g.m;
  return row;
}

// The product behind matmul, dense and its gradients.
template <typename T>
void gemm(const GemmArguments<T>& product) {
  if (product.m == 0 || product.n == 0) return;
  if (multiply_vector(product)) return;
  if (product.n == 1 && product.m > 1 && product.transpose_a && product.ldc == 1 && product.bias == nullptr) {
    return gemm(column_as_row(product));
  }
  const Grid<T> grid(product);
  parallel(0, grid.row_tasks * grid.column_tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const Region region = grid.region(task);
      if (region.rows > 0 && region.columns > 0) RegionProduct<T>(product, region).run();
    }
  });
}

template <typename T>
void batched(const GemmArguments<T>& product, int64_t count, const int64_t* a_offsets, const int64_t* b_offsets,
             const int64_t* c_offsets) {
  const auto one = [&](int64_t i) {
    GemmArguments<T> each = product;
    each.a += a_offsets[i];
    each.b += b_offsets[i];
    each.c += c_offsets[i];
    gemm(each);
  };
  if (count < 2 * num_threads()) {
    for (int64_t i = 0; i < count; ++i) one(i);
    return;
  }
  const double multiply_adds = double(product.m) * double(product.n) * double(product.k);
  parallel(0, count, grain_for(static_cast<int64_t>(multiply_adds / 8)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) one(i);
  });
}

// Each column is four sums, of the rows 0, 4, 8..., 1, 5, 9... and so on: a fixed order, and no long chain.
template <typename T>
void sum_columns(const T* x, int64_t rows, int64_t columns, int64_t begin, int64_t end, T* sums) {
  for (int64_t j = begin; j < end; j += kWidth<T>) {
    const int64_t left = min_of(kWidth<T>, end - j);
    Vec<T> total[4] = {};
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) {
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) total[r] += load_partial(x + (i + r) * columns + j, left);
    }
    for (; i < rows; ++i) total[i % 4] += load_partial(x + i * columns + j, left);
    store_partial(sums + j, (total[0] + total[1]) + (total[2] + total[3]), left);
  }
}

// Many rows in chunks that follow from their number alone, added in order; few rows by columns.
template <typename T>
void column_sums(const T* x, int64_t rows, int64_t columns, T* sums) {
  constexpr int64_t kChunkRows = 1024;
  const int64_t chunks = rows / kChunkRows;
  if (chunks < 2) {
    parallel(0, ceil_div(columns, kWidth<T>), grain_for(rows * kWidth<T>), [&](int64_t begin, int64_t end) {
      sum_columns(x, rows, columns, begin * kWidth<T>, min_of(columns, end * kWidth<T>), sums);
    });
    return;
  }
  T* parts = static_cast<T*>(thread_scratch(kScratchC, sizeof(T) * chunks * columns));
  parallel(0, chunks, grain_for(rows / chunks * columns), [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t from = rows * part / chunks, to = rows * (part + 1) / chunks;
      sum_columns(x + from * columns, to - from, columns, 0, columns, parts + part * columns);
    }
  });
  sum_columns(parts, chunks, columns, 0, columns, sums);
}

}  // namespace

extern const PerType<GemmKernels> gemm_kernels;
const PerType<GemmKernels> gemm_kernels = {
    {gemm<float>, batched<float>, column_sums<float>},
    {gemm<double>, batched<double>, column_sums<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
