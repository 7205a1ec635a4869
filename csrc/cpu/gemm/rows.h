// Weighted sums of a matrix's rows: a row times a matrix, and (every weight one) the gradient of a bias. Each value is
// read once and used once, so the order of reading is everything: rows are streamed, eight at a time.
#pragma once

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// rows x columns values, the rows `ld` apart; weight[i] is row i's, or null: all one.
template <typename T>
struct Rows {
  const T* x;
  int64_t ld;
  int64_t rows;
  int64_t columns;
  const T* weight;
};

// acc + weight * x, for the first `left` columns.
template <typename T, bool kWeighted>
RANVIER_INLINE Vec<T> add_row(Vec<T> acc, const T* x, int64_t left, Vec<T> weight) {
  const Vec<T> values = left >= kWidth<T> ? load(x) : load_partial(x, left);
  return kWeighted ? fma(values, weight, acc) : acc + values;
}

// At most kVectors vectors of columns: the sums stay in registers. Row i adds to chain i % kChains, so that there are
// always additions that need not wait for each other.
template <typename T, bool kWeighted, int kVectors>
void sum_narrow(const Rows<T>& m, T* sums) {
  constexpr int kChains = kVectors == 1 ? 8 : kVectors == 2 ? 4 : 2;
  const int64_t left = m.columns - (kVectors - 1) * kWidth<T>;
  Vec<T> acc[kChains][kVectors] = {};
  const auto add = [&](int64_t i, int chain) __attribute__((always_inline)) {
    const T* x = m.x + i * m.ld;
    const Vec<T> weight = kWeighted ? broadcast(m.weight[i]) : Vec<T>{};
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      Vec<T>& sum = acc[chain][j];
      sum = add_row<T, kWeighted>(sum, x + j * kWidth<T>, j + 1 < kVectors ? kWidth<T> : left, weight);
    }
  };
  int64_t i = 0;
  for (; i + kChains <= m.rows; i += kChains) {
#pragma GCC unroll 8
    for (int chain = 0; chain < kChains; ++chain) add(i + chain, chain);
  }
#pragma GCC unroll 8
  for (int chain = 0; chain < kChains; ++chain) {
    if (i + chain < m.rows) add(i + chain, chain);
  }
#pragma GCC unroll 8
  for (int half = kChains / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int chain = 0; chain < half; ++chain) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[chain][j] += acc[chain + half][j];
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
    store_partial(sums + j * kWidth<T>, acc[0][j], j + 1 < kVectors ? kWidth<T> : left);
  }
}

// sums += kRows rows from i on, or = if i is 0.
template <typename T, bool kWeighted, int kRows>
RANVIER_INLINE void add_rows(const Rows<T>& m, int64_t i, T* sums) {
  const T* x = m.x + i * m.ld;
  Vec<T> weight[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) weight[r] = kWeighted ? broadcast(m.weight[i + r]) : Vec<T>{};
  const auto step = [&](int64_t j, int64_t left) __attribute__((always_inline)) {
    Vec<T> acc = i == 0 ? Vec<T>{} : left >= kWidth<T> ? load(sums + j) : load_partial(sums + j, left);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) acc = add_row<T, kWeighted>(acc, x + r * m.ld + j, left, weight[r]);
    if (left >= kWidth<T>) {
      store(sums + j, acc);
    } else {
      store_partial(sums + j, acc, left);
    }
  };
  int64_t j = 0;
  for (; j + kWidth<T> <= m.columns; j += kWidth<T>) step(j, kWidth<T>);
  if (j < m.columns) step(j, m.columns - j);
}

// Any number of columns: the sums stay in L1.
template <typename T, bool kWeighted>
void sum_wide(const Rows<T>& m, T* sums) {
  constexpr int64_t kStrip = 8192 / sizeof(T);
  for (int64_t at = 0; at < m.columns; at += kStrip) {
    const Rows<T> strip = {m.x + at, m.ld, m.rows, min_of(kStrip, m.columns - at), m.weight};
    int64_t i = 0;
    for (; i + 8 <= m.rows; i += 8) add_rows<T, kWeighted, 8>(strip, i, sums + at);
    for (; i < m.rows; ++i) add_rows<T, kWeighted, 1>(strip, i, sums + at);
    if (m.rows == 0) memset(sums + at, 0, sizeof(T) * static_cast<uint64_t>(strip.columns));
  }
}

template <typename T, bool kWeighted>
void sum_any(const Rows<T>& m, T* sums) {
  switch (ceil_div(m.columns, kWidth<T>)) {
    case 0: return;
    case 1: return sum_narrow<T, kWeighted, 1>(m, sums);
    case 2: return sum_narrow<T, kWeighted, 2>(m, sums);
    case 3: return sum_narrow<T, kWeighted, 3>(m, sums);
    case 4: return sum_narrow<T, kWeighted, 4>(m, sums);
    default: return sum_wide<T, kWeighted>(m, sums);
  }
}

template <typename T>
void sum_block(const Rows<T>& m, T* sums) {
  return m.weight != nullptr ? sum_any<T, true>(m, sums) : sum_any<T, false>(m, sums);
}

template <typename T>
void sum_rows(const Rows<T>& m, T* sums);

// Rows narrower than a vector that follow on each other, a vector's width of them taken as one: full vectors are read,
// where a load for each row would leave most lanes empty (a column alone: 15 of 16).
template <typename T>
void sum_folded(const Rows<T>& m, T* sums) {
  const int64_t folded = m.rows / kWidth<T>, wide = kWidth<T> * m.columns;
  T parts[(kWidth<T> - 1) * kWidth<T>];
  sum_rows<T>({m.x, wide, folded, wide, nullptr}, parts);
  const Rows<T> rest = {m.x + folded * wide, m.columns, m.rows - folded * kWidth<T>, m.columns, nullptr};
  T last[kWidth<T>];
  sum_block(rest, last);
  sum_block<T>({parts, m.columns, kWidth<T>, m.columns, nullptr}, sums);
  for (int64_t j = 0; j < m.columns; ++j) sums[j] += last[j];
}

// Many rows in chunks that follow from the shape alone, added in order; fewer by pieces of columns.
template <typename T>
void sum_rows(const Rows<T>& m, T* sums) {
  constexpr int64_t kFoldedRows = 1024;
  if (m.weight == nullptr && m.columns < kWidth<T> && m.ld == m.columns && m.rows >= kFoldedRows) {
    return sum_folded(m, sums);
  }
  constexpr int64_t kChunk = 128 * 1024 / sizeof(T);  // a chunk is worth a thread's while
  constexpr int64_t kChunkRows = 256;
  const int64_t chunks = min_of(64, min_of(m.rows / kChunkRows, m.rows * m.columns / kChunk));
  if (chunks < 4) {
    constexpr int64_t kPiece = 256 / sizeof(T);
    parallel(0, ceil_div(m.columns, kPiece), max_of(4, ceil_div(kChunk, m.rows * kPiece + 1)),
             [&](int64_t begin, int64_t end) {
               const int64_t from = begin * kPiece, to = min_of(m.columns, end * kPiece);
               const Rows<T> piece = {m.x + from, m.ld, m.rows, to - from, m.weight};
               if (m.columns <= 4 * kWidth<T>) {
                 sum_block(piece, sums + from);
               } else {  // also for a narrow piece: the order of the sum follows from the shape of the whole
                 m.weight != nullptr ? sum_wide<T, true>(piece, sums + from) : sum_wide<T, false>(piece, sums + from);
               }
             });
    return;
  }
  T* parts = static_cast<T*>(thread_scratch(kScratchC, sizeof(T) * static_cast<uint64_t>(chunks * m.columns)));
  parallel(0, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t from = m.rows * part / chunks, to = m.rows * (part + 1) / chunks;
      const T* weight = m.weight == nullptr ? nullptr : m.weight + from;
      sum_block<T>({m.x + from * m.ld, m.ld, to - from, m.columns, weight}, parts + part * m.columns);
    }
  });
  sum_block<T>({parts, m.columns, chunks, m.columns, nullptr}, sums);
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
