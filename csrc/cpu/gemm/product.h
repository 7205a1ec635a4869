// The loops around the microkernel, after Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication" (2008): a block of B is packed so that it stays in L2, a panel of A stays in L1 while the
// block streams past it, and tiles of C stream through the registers.
//
// The sum over k is cut into blocks by the shape alone, and within a block it is one chain per element:
// packing, tile grids and threads change no bit of the result.
#pragma once

#include <unistd.h>

#include "cpu/gemm/pack.h"
#include "cpu/gemm/tile.h"
#include "ops/gemm.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<ActivationKernels> activation_kernels;

namespace {

template <typename T>
constexpr int64_t kPanel = kTileVectors * kWidth<T>;  // columns of a tile
template <typename T>
constexpr int64_t kBlockK = 1536 / sizeof(T);

// Cuts `length` into pieces as even as can be: piece i is [start(i), start(i + 1)), the longest first.
struct EvenCut {
  int64_t length;
  int64_t pieces;
  EvenCut(int64_t length, int64_t pieces) : length(length), pieces(max_of(1, pieces)) {}
  int64_t start(int64_t i) const { return length / pieces * i + min_of(i, length % pieces); }
};

// Blocks of the sum: of kBlockK, or up to half as much again where that saves a pass over C.
template <typename T>
EvenCut cut_sum(int64_t k) {
  return EvenCut(k, (k + kBlockK<T> / 2) / kBlockK<T>);
}

// Half of L2 is for the block of B: the rest for A, C and what the prefetchers bring.
inline int64_t block_bytes() {
  static int64_t known = 0;  // every thread finds the same
  int64_t bytes = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (bytes == 0) {
#if defined(_SC_LEVEL2_CACHE_SIZE)
    bytes = sysconf(_SC_LEVEL2_CACHE_SIZE) / 2;
#endif
    bytes = max_of(128 << 10, min_of(2 << 20, bytes));
    __atomic_store_n(&known, bytes, __ATOMIC_RELAXED);
  }
  return bytes;
}

// What part of C one task computes.
struct Region {
  int64_t row, rows;
  int64_t column, columns;
};

template <typename T>
class RegionProduct {
 public:
  RegionProduct(const GemmArguments<T>& product, const Region& region)
      : g_(product), region_(region), rows_(region.rows, ceil_div(region.rows, kTileRows)) {}

  void run() {
    const EvenCut sum = cut_sum<T>(g_.k);
    const int64_t most = block_bytes() / static_cast<int64_t>(sizeof(T)) / max_of(1, sum.start(1));
    const int64_t panels = ceil_div(region_.columns, kPanel<T>);
    const EvenCut blocks(panels, ceil_div(panels, max_of(1, most / kPanel<T>)));
    for (int64_t i = 0; i < blocks.pieces; ++i) {
      column_ = blocks.start(i) * kPanel<T>;
      columns_ = min_of(region_.columns, blocks.start(i + 1) * kPanel<T>) - column_;
      column_ += region_.column;
      for (int64_t block = 0; block < sum.pieces; ++block) {
        k_begin_ = sum.start(block);
        k_ = sum.start(block + 1) - k_begin_;
        first_ = block == 0;
        last_ = block + 1 == sum.pieces;
        multiply_block();
      }
    }
  }

 private:
  // Packing B pays if more than one row of tiles reads it, unless its rows are so short that the whole is at hand.
  bool packs_b() const {
    if (rows_.pieces == 1) return false;
    return g_.ldb * static_cast<int64_t>(sizeof(T)) > 1024 || region_.rows > 128;
  }

  void multiply_block() {
    packs_ = packs_b();
    strided_ = g_.transpose_b ? 0 : packs_ ? columns_ / kPanel<T> * kPanel<T> : columns_ / kWidth<T> * kWidth<T>;
    const int64_t packed_columns = ceil_div(columns_, kPanel<T>) * kPanel<T> - (packs_ ? 0 : strided_);
    packed_ = static_cast<T*>(thread_scratch(kScratchB, sizeof(T) * static_cast<uint64_t>(packed_columns * k_)));
    for (int64_t i = 0; i < rows_.pieces; ++i) {
      const int64_t begin = region_.row + rows_.start(i);
      const int64_t height = rows_.start(i + 1) - rows_.start(i);
      look_ahead(region_.row + rows_.start(i + 1), i + 1 < rows_.pieces);
      multiply_rows(begin, height, i == 0);
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

  // Where the panel of the block's columns from j on is packed: those read in place need no room, unless the first
  // row of tiles packs them.
  T* packed_panel(int64_t j) const { return packed_ + (packs_ ? j : j - strided_) * k_; }

  void pack_panel(int64_t j, int64_t width) {
    const int64_t columns = min_of(width, columns_ - j);
    if (g_.transpose_b) {
      pack_transposed(g_.b + (column_ + j) * g_.ldb + k_begin_, g_.ldb, k_, columns, width, packed_panel(j));
    } else {
      pack_rows(g_.b + k_begin_ * g_.ldb + column_ + j, g_.ldb, k_, columns, width, packed_panel(j));
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
      if (!collides && (columns_ <= 4 * kPanel<T> || stride <= 512)) return;
      tile.a_step = ceil_div(kTileRows, kWidth<T>) * kWidth<T>;
      T* panel = a_panel(tile.a_step * k_);
      pack_rows(tile.a, g_.lda, k_, rows, tile.a_step, panel);
      tile.a = panel;
    } else {
      tile.a = g_.a + row * g_.lda + k_begin_;
      tile.a_row = g_.lda;
      tile.a_step = 1;
      if (!collides) return;
      tile.a_row = k_ + 64 / static_cast<int64_t>(sizeof(T));
      T* panel = a_panel(kTileRows * tile.a_row);
      for (int64_t i = 0; i < rows; ++i) memcpy(panel + i * tile.a_row, tile.a + i * g_.lda, sizeof(T) * uint64_t(k_));
      tile.a = panel;
    }
  }

  T* a_panel(int64_t values) {
    return static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * static_cast<uint64_t>(values)));
  }

  // The next panel of A comes into cache while this one is multiplied, a few lines before each tile.
  void look_ahead(int64_t next_row, bool exists) {
    ahead_ = g_.a + (g_.transpose_a ? k_begin_ * g_.lda + next_row : next_row * g_.lda + k_begin_);
    ahead_rows_ = !exists ? 0 : g_.transpose_a ? k_ : min_of(kTileRows, region_.row + region_.rows - next_row);
    ahead_length_ = g_.transpose_a ? 1 : k_;
    ahead_at_ = 0;
    const int64_t lines = ahead_rows_ * ceil_div(ahead_length_, kLine);
    ahead_share_ = ceil_div(lines, ceil_div(columns_, kPanel<T>));
  }

  void fetch_ahead() {
    for (int64_t i = 0; i < ahead_share_ && ahead_rows_ > 0; ++i) {
      __builtin_prefetch(ahead_ + ahead_at_);
      ahead_at_ += kLine;
      if (ahead_at_ >= ahead_length_) {
        ahead_at_ = 0;
        ahead_ += g_.lda;
        --ahead_rows_;
      }
    }
  }

  void multiply_rows(int64_t row, int64_t rows, bool first_row) {
    Tile<T> tile;
    tile.k = k_;
    locate_a(row, rows, tile);
    tile.ldc = g_.ldc;
    tile.accumulate = g_.accumulate || !first_;
    tile.relu = last_ && g_.activation.kind == ActivationKind::Relu;
    for (int64_t j = 0; j < columns_;) {
      const int64_t left = j < strided_ ? strided_ - j : columns_ - j;
      int64_t vectors = left > kWidth<T> ? kTileVectors : 1;
      TileKernel<T> kernel = vectors == 1 ? kNarrowTiles<T>[rows - 1] : kTiles<T>[rows - 1];
      if (j < strided_ && (first_row || !packs_)) {
        if (packs_) {
          kernel = kPackingTiles<T>[rows - kTileRows / 2 - 1];
          tile.packed = packed_panel(j);
        } else if (rows <= kWideRows && left >= kWideVectors * kWidth<T>) {
          vectors = kWideVectors;
          kernel = kWideTiles<T>[rows - 1];
        }
        tile.b = g_.b + k_begin_ * g_.ldb + column_ + j;
        tile.b_step = g_.ldb;
      } else {
        if (first_row) pack_panel(j, vectors * kWidth<T>);
        tile.b = packed_panel(j);
        tile.b_step = vectors * kWidth<T>;
      }
      fetch_ahead();
      tile.columns = min_of(left, vectors * kWidth<T>);
      tile.c = g_.c + row * g_.ldc + column_ + j;
      tile.bias = last_ && g_.bias != nullptr ? g_.bias + column_ + j : nullptr;
      kernel(tile);
      j += tile.columns;
    }
  }

  static constexpr int64_t kLine = 64 / sizeof(T);

  const GemmArguments<T>& g_;
  const Region region_;
  const EvenCut rows_;                // the region's rows of tiles
  int64_t column_ = 0, columns_ = 0;  // the block of C's columns
  int64_t k_begin_ = 0, k_ = 0;       // the block of the sum
  bool first_ = false, last_ = false;
  bool packs_ = false;   // does the first row of tiles pack what it reads of B?
  int64_t strided_ = 0;  // columns of the block that can be read where they are
  T* packed_ = nullptr;
  const T* ahead_ = nullptr;  // what fetch_ahead has still to fetch
  int64_t ahead_rows_ = 0, ahead_length_ = 0, ahead_at_ = 0, ahead_share_ = 0;
};

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
