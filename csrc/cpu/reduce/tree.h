// Reductions of floating rows and columns as balanced trees, and the functions that the files of this folder share.
#pragma once

#include <math.h>

#include "cpu/row.h"
#include "ops/reduce.h"

namespace ranvier {
namespace RANVIER_ISA {

void reduce_argument(bool largest, DType dtype, const void* x, int32_t* y, Rows rows);
void reduce_logsumexp(DType dtype, const void* x, void* y, Rows rows);
void reduce_integers(Reduction reduction, DType dtype, const void* x, void* y, Rows rows);
void reduce_truth(bool all, DType dtype, const void* x, bool* y, Rows rows);

namespace {

// What is reduced how: the neutral element, two values into one (scalars or whole vectors), and what an element
// counts as. Partial results are joined further as Upper.
struct AsItIs {
  template <typename V>
  static RANVIER_INLINE V take(V v) {
    return v;
  }
};
template <typename T>
struct Sum : AsItIs {
  typedef Sum Upper;
  static constexpr T kNeutral = 0;
  static RANVIER_INLINE T join(T a, T b) { return a + b; }
  static RANVIER_INLINE Vec<T> join_all(Vec<T> a, Vec<T> b) { return a + b; }
};
template <typename T>
struct Prod : AsItIs {
  typedef Prod Upper;
  static constexpr T kNeutral = 1;
  static RANVIER_INLINE T join(T a, T b) { return a * b; }
  static RANVIER_INLINE Vec<T> join_all(Vec<T> a, Vec<T> b) { return a * b; }
};
template <typename T>
struct Max : AsItIs {
  typedef Max Upper;
  static constexpr T kNeutral = T(-INFINITY);
  static RANVIER_INLINE T join(T a, T b) { return scalar_max(a, b); }
  static RANVIER_INLINE Vec<T> join_all(Vec<T> a, Vec<T> b) { return max(b, a); }  // a: the longer chain
};
template <typename T>
struct Squares : Sum<T> {
  template <typename V>
  static RANVIER_INLINE V take(V v) {
    return v * v;
  }
};
template <typename T>
struct Min : AsItIs {
  typedef Min Upper;
  static constexpr T kNeutral = T(INFINITY);
  static RANVIER_INLINE T join(T a, T b) { return scalar_min(a, b); }
  static RANVIER_INLINE Vec<T> join_all(Vec<T> a, Vec<T> b) { return min(b, a); }
};

// --- rows of adjacent elements ----------------------------------------------------------------------

constexpr int64_t kBlock = 512;      // elements reduced straight on, in four chains of vectors
constexpr int64_t kAhead = 8192;     // bytes asked for before they are read: processors by themselves look less far
constexpr int64_t kChunk = 1 << 15;  // elements of one long row that a thread takes; a power of two blocks
constexpr int64_t kRowBlock = 64;    // rows reduced straight on when columns are

// The largest power-of-two multiple of `leaf` below n: trees split there, so a tree over chunks of such a
// size is the tree over their elements, and chunks change no bits.
RANVIER_INLINE int64_t split_point(int64_t n, int64_t leaf) {
  int64_t half = leaf;
  while (half * 2 < n) half *= 2;
  return half;
}

template <typename T, typename Op>
Vec<T> reduce_block(const T* x, int64_t n) {
  constexpr int64_t w = kWidth<T>;
  Vec<T> chain[4];
  for (int k = 0; k < 4; ++k) chain[k] = broadcast(Op::kNeutral);
  int64_t i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
    for (int k = 0; k < 4; ++k) {
      __builtin_prefetch(x + i + k * w + kAhead / static_cast<int64_t>(sizeof(T)));
      chain[k] = Op::join_all(chain[k], Op::take(load(x + i + k * w)));
    }
  }
  for (int k = 0; i + w <= n; i += w, ++k) chain[k] = Op::join_all(chain[k], Op::take(load(x + i)));
  if (i < n) chain[3] = Op::join_all(chain[3], Op::take(load_padded<T>(x + i, n - i, Op::kNeutral)));
  return Op::join_all(Op::join_all(chain[0], chain[1]), Op::join_all(chain[2], chain[3]));
}

template <typename T, typename Op>
Vec<T> reduce_tree(const T* x, int64_t n) {
  if (n <= kBlock) return reduce_block<T, Op>(x, n);
  const int64_t half = split_point(n, kBlock);
  const Vec<T> left = reduce_tree<T, Op>(x, half);
  return Op::join_all(left, reduce_tree<T, Op>(x + half, n - half));
}

template <typename T, typename Op>
T join_lanes(Vec<T> v) {
  T lanes[kWidth<T>];
  store(lanes, v);
  for (int half = kWidth<T> / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] = Op::join(lanes[i], lanes[i + half]);
  }
  return lanes[0];
}

// What 1 <= count <= width rows of n adjacent elements come to, a lane each.
template <typename T, typename Op>
Vec<T> reduce_rows_together(const T* x, int64_t n, int64_t count) {
  const Vec<T> neutral = broadcast(Op::kNeutral);
  Vec<T> rows[kWidth<T>];
  if (n <= kWidth<T>) {
    for (int64_t r = 0; r < count; ++r) {
      rows[r] = Op::join_all(neutral, Op::take(load_padded<T>(x + r * n, n, Op::kNeutral)));
    }
  } else {
    for (int64_t r = 0; r < count; ++r) rows[r] = reduce_tree<T, Op>(x + r * n, n);
  }
  for (int64_t r = count; r < kWidth<T>; ++r) rows[r] = neutral;
  return join_each<T>(rows, [](Vec<T> a, Vec<T> b) RANVIER_INLINED { return Op::join_all(a, b); });
}

// --- columns: elements `stride` apart, a strip of kVecs vectors at a time ------------------------------

template <typename T, int kVecs>
struct Strip {
  Vec<T> v[kVecs];
};

// Rows x[0], x[stride], ...; at most kLeaf of them straight on, more as a tree. The last vector has `width` lanes.
template <typename T, typename Op, int kVecs, bool kPartial>
RANVIER_INLINE Strip<T, kVecs> load_strip(const T* x, int64_t width) {
  Strip<T, kVecs> strip;
  for (int k = 0; k < kVecs; ++k) strip.v[k] = Op::take(kPartial ? load_partial(x, width) : load(x + k * kWidth<T>));
  return strip;
}

template <typename T, typename Op, int kVecs, bool kPartial, int kLeaf>
Strip<T, kVecs> reduce_strip(const T* x, int64_t n, int64_t stride, int64_t width) {
  if (n <= kLeaf) {
    Strip<T, kVecs> total = load_strip<T, Op, kVecs, kPartial>(x, width);
    for (int64_t r = 1; r < n; ++r) {
      const Strip<T, kVecs> row = load_strip<T, Op, kVecs, kPartial>(x + r * stride, width);
      for (int k = 0; k < kVecs; ++k) total.v[k] = Op::join_all(total.v[k], row.v[k]);
    }
    return total;
  }
  const int64_t half = split_point(n, kLeaf);
  Strip<T, kVecs> left = reduce_strip<T, Op, kVecs, kPartial, kLeaf>(x, half, stride, width);
  const Strip<T, kVecs> right = reduce_strip<T, Op, kVecs, kPartial, kLeaf>(x + half * stride, n - half, stride, width);
  for (int k = 0; k < kVecs; ++k) left.v[k] = Op::join_all(left.v[k], right.v[k]);
  return left;
}

// The lanes of each chunk of a long row, chunk after chunk.
template <typename T, typename Op>
T* reduce_chunks(const T* x, int64_t n) {
  constexpr int64_t w = kWidth<T>;
  const int64_t chunks = ceil_div(n, kChunk);
  T* partial = static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * static_cast<uint64_t>(chunks * w)));
  parallel(0, chunks, 1, [&](int64_t from, int64_t to) {
    for (int64_t c = from; c < to; ++c) {
      store(partial + c * w, reduce_tree<T, Op>(x + c * kChunk, min_of(kChunk, n - c * kChunk)));
    }
  });
  return partial;
}

template <typename T, typename Op>
T join_chunks(const T* partial, int64_t n) {
  constexpr int64_t w = kWidth<T>;
  return join_lanes<T, Op>(reduce_strip<T, typename Op::Upper, 1, false, 1>(partial, ceil_div(n, kChunk), w, w).v[0]);
}

template <typename T, typename Op>
T reduce_long_row(const T* x, int64_t n) {
  return join_chunks<T, Op>(reduce_chunks<T, Op>(x, n), n);
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
