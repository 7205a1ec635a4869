// The products of one step: rows that lie anywhere (a step's inputs, the states of the rows that are not masked)
// times weights that were packed once for the whole sequence.
#pragma once

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// A panel is four vectors wide: the four gates of one vector of units, or four vectors of units. Tiles have as many
// rows as registers allow: kRows * 4 accumulators, a row of the panel, a broadcast.
constexpr int64_t kPanelVectors = 4;
#if defined(__AVX512F__)
constexpr int kTileRows = 6;
#elif defined(__AVX2__)
constexpr int kTileRows = 3;
#else
constexpr int kTileRows = 2;
#endif

// One term of a sum of products: values offset .. offset + k of each row, times k rows of a packed panel.
template <typename T>
struct Factor {
  const T* const* rows;
  int64_t offset;
  int64_t k;
  const T* panel;
};

// c (kRows, kVectors) += the factors, in one chain of multiply-adds per element: how rows, panels and blocks of k
// are cut changes no bit.
template <typename T, int kRows, int kVectors>
__attribute__((noinline)) void multiply_tile(const Factor<T>* factors, int count, int64_t row, T* c, int64_t ldc) {
  Vec<T> acc[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) acc[i][j] = load(c + i * ldc + j * kWidth<T>);
  }
  for (int f = 0; f < count; ++f) {
    const T* a[kRows];
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) a[i] = factors[f].rows[row + i] + factors[f].offset;
    const T* b = factors[f].panel;
    const int64_t k = factors[f].k;
    for (int64_t p = 0; p < k; ++p) {
      Vec<T> bs[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) bs[j] = load(b + j * kWidth<T>);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) {
        const Vec<T> value = broadcast(a[i][p]);
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(value, bs[j], acc[i][j]);
      }
      b += kVectors * kWidth<T>;
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) store(c + i * ldc + j * kWidth<T>, acc[i][j]);
  }
}

template <typename T>
using TileKernel = void (*)(const Factor<T>*, int, int64_t, T*, int64_t);

#if defined(__AVX512F__)
#define RANVIER_HEIGHTS(T, vectors)                                                          \
  {multiply_tile<T, 1, vectors>, multiply_tile<T, 2, vectors>, multiply_tile<T, 3, vectors>, \
   multiply_tile<T, 4, vectors>, multiply_tile<T, 5, vectors>, multiply_tile<T, 6, vectors>}
#elif defined(__AVX2__)
#define RANVIER_HEIGHTS(T, vectors) \
  {multiply_tile<T, 1, vectors>, multiply_tile<T, 2, vectors>, multiply_tile<T, 3, vectors>}
#else
#define RANVIER_HEIGHTS(T, vectors) {multiply_tile<T, 1, vectors>, multiply_tile<T, 2, vectors>}
#endif

// [vectors - 1][rows - 1]
template <typename T>
constexpr TileKernel<T> kMultiplyTiles[kPanelVectors][kTileRows] = {RANVIER_HEIGHTS(T, 1), RANVIER_HEIGHTS(T, 2),
                                                                    RANVIER_HEIGHTS(T, 3), RANVIER_HEIGHTS(T, 4)};
#undef RANVIER_HEIGHTS

// Calls body(begin, end) for the rows of each tile.
template <typename Body>
RANVIER_INLINE void over_tiles(int64_t rows, const Body& body) {
  const int64_t tiles = ceil_div(rows, kTileRows);
  for (int64_t tile = 0; tile < tiles; ++tile) body(rows * tile / tiles, rows * (tile + 1) / tiles);
}

// Rows begin .. end of c, at most a tile's, += the factors. (Blocks of k that keep the panel in L1 cost 4-15% more than
// reading it from L2 for every tile: the accumulators come and go more often.)
template <typename T>
RANVIER_INLINE void multiply_rows(const Factor<T>* factors, int count, int64_t begin, int64_t end, int64_t vectors,
                                  T* c, int64_t ldc) {
  kMultiplyTiles<T>[vectors - 1][end - begin - 1](factors, count, begin, c + begin * ldc, ldc);
}

// c (rows, vectors) += the factors.
template <typename T>
void multiply_panel(const Factor<T>* factors, int count, int64_t rows, int64_t vectors, T* c, int64_t ldc) {
  over_tiles(rows, [&](int64_t begin, int64_t end) { multiply_rows(factors, count, begin, end, vectors, c, ldc); });
}

// Weights as panels, and where a panel's products go: to columns i * step + first of a row of sums.
template <typename T>
struct Panels {
  T* data;
  int64_t k;
  int64_t columns;  // of all panels, in vectors
  int64_t vectors;  // of one panel (the last may have fewer)
  int64_t step;
  int64_t first;

  int64_t count() const { return ceil_div(columns, vectors); }
  int64_t vectors_of(int64_t i) const { return min_of(vectors, columns - i * vectors); }
  T* panel(int64_t i) const { return data + i * vectors * kWidth<T> * k; }
  int64_t size() const { return columns * kWidth<T> * k; }
};

// Fills panels from some rows of weights at a time, which stay in L1 while every panel takes its columns: vector j of
// panel i begins at column(i, j), of which `lanes` values count.
template <typename T, typename Column>
RANVIER_INLINE void pack_columns(const Panels<T>& panels, const T* weights, int64_t ld, const Column& column) {
  constexpr int64_t kRows = 8;
  parallel(0, ceil_div(panels.k, kRows), grain_for(kRows * panels.columns), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * kRows; row < min_of(panels.k, end * kRows); row += kRows) {
      const int64_t row_end = min_of(panels.k, row + kRows);
      for (int64_t i = 0; i < panels.count(); ++i) {
        const int64_t vectors = panels.vectors_of(i);
        for (int64_t j = 0; j < vectors; ++j) {
          int64_t lanes;
          const T* from = weights + column(i, j, lanes);
          T* out = panels.panel(i) + j * kWidth<T>;
          for (int64_t p = row; p < row_end; ++p) {
            store(out + p * vectors * kWidth<T>, load_partial(from + p * ld, lanes));
          }
        }
      }
    }
  });
}

// Each panel holds one vector of units of each of the gates named.
template <typename T>
void pack_gates(const Panels<T>& panels, const T* weights, int64_t ld, int64_t units, const int* gates) {
  pack_columns(panels, weights, ld, [&](int64_t i, int64_t j, int64_t& lanes) {
    lanes = min_of(kWidth<T>, units - i * kWidth<T>);
    return gates[j] * units + i * kWidth<T>;
  });
}

// Panels of neighbouring units.
template <typename T>
void pack_units(const Panels<T>& panels, const T* weights, int64_t ld, int64_t units) {
  pack_columns(panels, weights, ld, [&](int64_t i, int64_t j, int64_t& lanes) {
    const int64_t unit = (i * panels.vectors + j) * kWidth<T>;
    lanes = min_of(kWidth<T>, units - unit);
    return unit;
  });
}

// The same of the transposed weights: row p of a panel holds column p of the weights. A line of each row of weights
// is read at once, and goes to as many rows of the panel.
template <typename T>
void pack_transposed_units(const Panels<T>& panels, const T* weights, int64_t ld, int64_t units) {
  const int64_t k = panels.k;
  parallel(0, panels.count(), grain_for(4 * k * panels.vectors), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t unit = i * panels.vectors * kWidth<T>, width = panels.vectors_of(i) * kWidth<T>;
      T* out = panels.panel(i);
      constexpr int64_t kLine = 64 / sizeof(T);
      for (int64_t line = 0; line < k; line += kLine) {
        const int64_t line_end = min_of(k, line + kLine);
        for (int64_t j = 0; j < width; ++j) {
          for (int64_t p = line; p < line_end; ++p) {
            out[p * width + j] = unit + j < units ? weights[(unit + j) * ld + p] : T(0);
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
