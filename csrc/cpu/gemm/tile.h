// The microkernel: a tile of C in registers. Everything else in this folder exists to feed it.
#pragma once

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Rows x vectors of accumulators: as many as leave registers for one row of B and one broadcast of A.
// AVX-512 has 32 registers (24 + 2 + broadcasts from memory), AVX2 and SSE 16 (12 + 2 + 1; 8 + 2 + 1).
#if defined(__AVX512F__)
constexpr int kTileRows = 12;
constexpr int kWideRows = 4;
constexpr int kWideVectors = 6;
#elif defined(__AVX2__)
constexpr int kTileRows = 6;
constexpr int kWideRows = 2;
constexpr int kWideVectors = 4;
#else
constexpr int kTileRows = 4;
constexpr int kWideRows = 2;
constexpr int kWideVectors = 4;
#endif
constexpr int kTileVectors = 2;

// A tile's operands. Element (i, p) of A is a[i * a_row + p * a_step]: that covers packed and unpacked A,
// transposed or not. Row p of B is b + p * b_step, readable over the full width of the tile.
template <typename T>
struct Tile {
  int64_t k;
  const T* a;
  int64_t a_row;
  int64_t a_step;
  const T* b;
  int64_t b_step;
  T* packed;  // where a packing kernel leaves its rows of B, one behind the other
  T* c;
  int64_t ldc;
  int64_t columns;  // of C to write, at most the width
  bool accumulate;
  const T* bias;  // at this tile's first column, or null
  bool relu;
};

// Adds what is in C and the bias, clips, writes. `kWhole`: every column of the tile is one of C.
template <typename T, int kRows, int kVectors, bool kWhole>
RANVIER_INLINE void finish_tile(const Tile<T>& tile, Vec<T> (&acc)[kRows][kVectors]) {
  int64_t lanes[kVectors];
#pragma GCC unroll 8
  for (int j = 0; j < kVectors; ++j) lanes[j] = max_of(0, min_of(kWidth<T>, tile.columns - j * kWidth<T>));
#define RANVIER_EACH \
  _Pragma("GCC unroll 16") for (int i = 0; i < kRows; ++i) _Pragma("GCC unroll 8") for (int j = 0; j < kVectors; ++j)
  if (tile.accumulate) {
    RANVIER_EACH {
      const T* c = tile.c + i * tile.ldc + j * kWidth<T>;
      acc[i][j] += kWhole ? load(c) : load_partial(c, lanes[j]);
    }
  }
  if (tile.bias != nullptr) {
    RANVIER_EACH {
      const T* bias = tile.bias + j * kWidth<T>;
      acc[i][j] += kWhole ? load(bias) : load_partial(bias, lanes[j]);
    }
  }
  if (tile.relu) {
    RANVIER_EACH acc[i][j] = max(acc[i][j], Vec<T>{});
  }
  RANVIER_EACH {
    T* c = tile.c + i * tile.ldc + j * kWidth<T>;
    if (kWhole) {
      store(c, acc[i][j]);
    } else {
      store_partial(c, acc[i][j], lanes[j]);
    }
  }
#undef RANVIER_EACH
}

// Each element of C is one chain of fused multiply-adds over p, whatever the height and width of the tile
// that holds it: tile grids may follow the thread count without changing a bit.
//
// A kernel that packs serves the first row of tiles: what it reads of B it leaves behind in the order in which
// the tiles below will read it. The stores hide between the multiply-adds, so packing costs next to nothing.
template <typename T, int kRows, int kVectors, bool kPacks>
__attribute__((noinline)) void compute_tile(const Tile<T>& tile) {
  Vec<T> acc[kRows][kVectors] = {};
  // Rows in groups of four, each with a base pointer: x86 addresses base + {0, 1, 2} * stride directly.
  constexpr int kGroups = (kRows + 3) / 4;
  const int64_t row = tile.a_row;
  const int64_t row3 = 3 * row;
  const T* a[kGroups];
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) a[g] = tile.a + 4 * g * row;
  const int64_t a_step = tile.a_step;
  const T* b = tile.b;
  const int64_t b_step = tile.b_step;
  T* packed = tile.packed;
  // C is wanted at the end, when its lines have come. Unpacked rows of B lie pages apart and come from further away.
  constexpr int kLine = 64 / sizeof(T);
  const T* b_ahead = b + (kPacks ? 16 : 8) * b_step;
  if (tile.k >= 64) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors * kWidth<T>; j += kLine) __builtin_prefetch(tile.c + i * tile.ldc + j, 1);
    }
  }
  for (int64_t p = tile.k; p > 0; --p) {
    Vec<T> bs[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) bs[j] = load(b + j * kWidth<T>);
#pragma GCC unroll 8
    for (int j = 0; j < kVectors * kWidth<T>; j += kLine) __builtin_prefetch(b_ahead + j);
    if (kPacks) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) store(packed + j * kWidth<T>, bs[j]);
      packed += kVectors * kWidth<T>;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const int64_t offset = i % 4 == 3 ? row3 : (i % 4) * row;
      const Vec<T> value = broadcast(a[i / 4][offset]);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(value, bs[j], acc[i][j]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) a[g] += a_step;
    b += b_step;
    b_ahead += b_step;
  }
  if (tile.columns == kVectors * kWidth<T>) {
    finish_tile<T, kRows, kVectors, true>(tile, acc);
  } else {
    finish_tile<T, kRows, kVectors, false>(tile, acc);
  }
}

template <typename T>
using TileKernel = void (*)(const Tile<T>&);

// compute_tile for every height: [height - 1]. Packing pays from two rows of tiles on, whose first has more than
// half the full height: [height - kTileRows / 2 - 1].
#define RANVIER_TILE(T, height, vectors) compute_tile<T, height, vectors, false>
#define RANVIER_PACK(T, height) compute_tile<T, height, kTileVectors, true>
#if defined(__AVX512F__)
#define RANVIER_TILES(T, vectors)                                                                                     \
  RANVIER_TILE(T, 1, vectors), RANVIER_TILE(T, 2, vectors), RANVIER_TILE(T, 3, vectors), RANVIER_TILE(T, 4, vectors), \
      RANVIER_TILE(T, 5, vectors), RANVIER_TILE(T, 6, vectors), RANVIER_TILE(T, 7, vectors),                          \
      RANVIER_TILE(T, 8, vectors), RANVIER_TILE(T, 9, vectors), RANVIER_TILE(T, 10, vectors),                         \
      RANVIER_TILE(T, 11, vectors), RANVIER_TILE(T, 12, vectors)
#define RANVIER_WIDE_TILES(T)                                                                           \
  RANVIER_TILE(T, 1, kWideVectors), RANVIER_TILE(T, 2, kWideVectors), RANVIER_TILE(T, 3, kWideVectors), \
      RANVIER_TILE(T, 4, kWideVectors)
#define RANVIER_PACKING_TILES(T)                                                                        \
  RANVIER_PACK(T, 7), RANVIER_PACK(T, 8), RANVIER_PACK(T, 9), RANVIER_PACK(T, 10), RANVIER_PACK(T, 11), \
      RANVIER_PACK(T, 12)
#else
#if defined(__AVX2__)
#define RANVIER_TILES(T, vectors)                                                                                     \
  RANVIER_TILE(T, 1, vectors), RANVIER_TILE(T, 2, vectors), RANVIER_TILE(T, 3, vectors), RANVIER_TILE(T, 4, vectors), \
      RANVIER_TILE(T, 5, vectors), RANVIER_TILE(T, 6, vectors)
#define RANVIER_PACKING_TILES(T) RANVIER_PACK(T, 4), RANVIER_PACK(T, 5), RANVIER_PACK(T, 6)
#else
#define RANVIER_TILES(T, vectors) \
  RANVIER_TILE(T, 1, vectors), RANVIER_TILE(T, 2, vectors), RANVIER_TILE(T, 3, vectors), RANVIER_TILE(T, 4, vectors)
#define RANVIER_PACKING_TILES(T) RANVIER_PACK(T, 3), RANVIER_PACK(T, 4)
#endif
#define RANVIER_WIDE_TILES(T) RANVIER_TILE(T, 1, kWideVectors), RANVIER_TILE(T, 2, kWideVectors)
#endif

template <typename T>
constexpr TileKernel<T> kNarrowTiles[kTileRows] = {RANVIER_TILES(T, 1)};
template <typename T>
constexpr TileKernel<T> kTiles[kTileRows] = {RANVIER_TILES(T, kTileVectors)};
template <typename T>
constexpr TileKernel<T> kPackingTiles[kTileRows / 2] = {RANVIER_PACKING_TILES(T)};
template <typename T>
constexpr TileKernel<T> kWideTiles[kWideRows] = {RANVIER_WIDE_TILES(T)};

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
