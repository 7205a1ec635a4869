// The pieces of a sample that group_norm works on, and sums over their positions.
#pragma once

#include "cpu/row.h"
#include "ops/group_norm.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// What one task works on: some whole groups of one sample. A sample is read two or three times, from the caches when it
// fits them: once for its mean, once for the squares around it (the sum of squares minus the square of the sum would
// cancel), once to write y, from its end on, which the pass before left in the caches.
template <typename T>
struct Piece {
  const T* x;      // its first channel at position 0
  int64_t stride;  // from one position to the next
  int64_t width;   // channels
  int64_t groups;
  int64_t size;       // channels of a group
  int64_t channel;    // its first channel in the sample
  int64_t offset;     // elements before it
  int64_t statistic;  // of its first group in mean and rstd
  int64_t fold;       // positions that are read as one row
  int64_t span;       // its channels
};

// Where channels are few, `fold` positions are read as one row, so that vectors are full whatever their number. What
// holds for a channel is then repeated up to `span`; the last row of a sample may be shorter.
template <typename T>
int64_t fold_of(int64_t channels, int64_t positions) {
  if (channels == 0 || channels >= 4 * kWidth<T>) return 1;
  const int64_t fold = channels % kWidth<T> == 0 ? 4 * kWidth<T> / channels : kWidth<T>;
  return max_of(1, min_of(fold, positions));
}

// Samples are shared out among the threads, and the groups of a sample too where samples are few: in pieces of at least
// kPieceChannels. The shape alone decides, so that sums are the same on any number of threads.
constexpr int64_t kPieceChannels = 32, kFewSamples = 8;

struct Cut {
  int64_t groups;  // of a piece
  int64_t pieces;  // of a sample
};

Cut cut_of(GroupShape shape) {
  const int64_t size = shape.channels / shape.groups;
  if (shape.samples >= kFewSamples || size == 0) return {shape.groups, 1};
  const int64_t groups = ceil_div(kPieceChannels, size);
  return {groups, ceil_div(shape.groups, groups)};
}

template <typename T>
Piece<T> piece_of(const T* x, GroupShape shape, Cut cut, int64_t sample, int64_t index) {
  const int64_t size = shape.channels / shape.groups, first = index * cut.groups;
  const int64_t groups = min_of(cut.groups, shape.groups - first);
  const int64_t offset = sample * shape.positions * shape.channels + first * size, width = groups * size;
  const int64_t fold = cut.pieces == 1 ? fold_of<T>(width, shape.positions) : 1,
                statistic = sample * shape.groups + first;
  return {x + offset, shape.channels, width, groups, size, first * size, offset, statistic, fold, fold * width};
}

template <typename T, typename Body>
void each_piece(const T* x, GroupShape shape, const Body& body) {
  const Cut cut = cut_of(shape);
  const int64_t work = shape.positions * min_of(shape.channels, cut.groups * (shape.channels / shape.groups));
  parallel(0, shape.samples * cut.pieces, grain_for(work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(piece_of(x, shape, cut, i / cut.pieces, i % cut.pieces));
  });
}

template <typename T>
T* scratch(int64_t arrays, int64_t width) {
  return static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * static_cast<uint64_t>(arrays * width)));
}

// --- sums over the positions ----------------------------------------------------------------------------------------

// kSums sums for each of kVectors vectors of a row from `at` on: term(sums, offset, at, lanes) adds to them what lies
// so far from the piece's first element.
template <typename T, int kSums, int kVectors, typename Term>
RANVIER_INLINE void sum_strip(int64_t rows, int64_t stride, int64_t at, int64_t lanes, int64_t span, T* out,
                              const Term& term) {
  Vec<T> sums[kVectors][kSums] = {};
  for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) term(sums[v], r * stride + at + v * kWidth<T>, at + v * kWidth<T>, lanes);
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 2
    for (int s = 0; s < kSums; ++s) store_some(out + s * span + at + v * kWidth<T>, sums[v][s], lanes);
  }
}

// The last row, of fewer positions than the others, and then the sums of each channel's copies.
template <typename T, int kSums, typename Term>
RANVIER_INLINE void unfold_sums(const Piece<T>& piece, int64_t positions, T* out, const Term& term) {
  const int64_t rows = positions / piece.fold, last = positions % piece.fold * piece.width;
  each_vector<T>(last, [&](int64_t at, int64_t lanes) RANVIER_INLINED {
    Vec<T> sums[kSums];
    for (int s = 0; s < kSums; ++s) sums[s] = load_some(out + s * piece.span + at, lanes);
    term(sums, rows * piece.span + at, at, lanes);
    for (int s = 0; s < kSums; ++s) store_some(out + s * piece.span + at, sums[s], lanes);
  });
  for (int s = 0; s < kSums; ++s) {
    T* sums = out + s * piece.span;
    for (int64_t copy = piece.width; copy < piece.span; copy += piece.width) {
      for (int64_t c = 0; c < piece.width; ++c) sums[c] += sums[copy + c];
    }
  }
}

// out: (kSums, span), of which the first `width` are each channel's sum of term over the positions.
template <typename T, int kSums, typename Term>
RANVIER_INLINE void sum_positions(const Piece<T>& piece, int64_t positions, T* out, const Term& term) {
  const int64_t rows = positions / piece.fold, stride = piece.fold * piece.stride, span = piece.span;
  int64_t at = 0;
  for (; at + 4 * kWidth<T> <= span; at += 4 * kWidth<T>) {
    sum_strip<T, kSums, 4>(rows, stride, at, kWidth<T>, span, out, term);
  }
  for (; at + 2 * kWidth<T> <= span; at += 2 * kWidth<T>) {
    sum_strip<T, kSums, 2>(rows, stride, at, kWidth<T>, span, out, term);
  }
  for (; at + kWidth<T> <= span; at += kWidth<T>) {
    sum_strip<T, kSums, 1>(rows, stride, at, kWidth<T>, span, out, term);
  }
  if (at < span) sum_strip<T, kSums, 1>(rows, stride, at, span - at, span, out, term);
  if (piece.fold > 1) unfold_sums<T, kSums>(piece, positions, out, term);
}

// body(offset, length) for each row, from the last on.
template <typename T, typename Body>
RANVIER_INLINE void each_row(const Piece<T>& piece, int64_t positions, const Body& body) {
  const int64_t rows = positions / piece.fold, stride = piece.fold * piece.stride;
  if (const int64_t last = positions % piece.fold; last > 0) body(rows * stride, last * piece.width);
  for (int64_t r = rows - 1; r >= 0; --r) body(r * stride, piece.span);
}

// The sum of n numbers, in four chains of vectors.
template <typename T>
T sum_of(const T* x, int64_t n) {
  if (n == 1) return x[0];
  Vec<T> sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * kWidth<T> <= n; i += 4 * kWidth<T>) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) sums[v] += load(x + i + v * kWidth<T>);
  }
  for (; i < n; i += kWidth<T>) sums[0] += load_some(x + i, min_of(kWidth<T>, n - i));
  return sum_lanes<T>((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <typename T>
void repeat(const Piece<T>& piece, T* out) {
  for (int64_t copy = piece.width; copy < piece.span; copy += piece.width) {  // none waits for another
    for (int64_t c = 0; c < piece.width; ++c) out[copy + c] = out[c];
  }
}

// out[c] = of(group of c), over the channels of a row.
template <typename T, typename Of>
RANVIER_INLINE void spread(const Piece<T>& piece, T* out, const Of& of) {
  for (int64_t g = 0; g < piece.groups; ++g) {
    const T value = of(g);
    T* to = out + g * piece.size;
    if (piece.size == 1) {
      *to = value;
      continue;
    }
    each_vector<T>(piece.size,
                   [&](int64_t c, int64_t lanes) RANVIER_INLINED { store_some(to + c, broadcast(value), lanes); });
  }
  repeat(piece, out);
}

// out[c] = by[channel], over the channels of a row.
template <typename T>
void spread_channels(const Piece<T>& piece, T* out, const T* by) {
  memcpy(out, by + piece.channel, sizeof(T) * static_cast<uint64_t>(piece.width));
  repeat(piece, out);
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
