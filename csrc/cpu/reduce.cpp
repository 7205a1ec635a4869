#include "ops/reduce.h"

#include <math.h>

#include "cpu/simd.h"
#include "cpu/simd_math.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// What is reduced how: the neutral element, and two values into one (scalars or whole vectors).
template <typename T>
struct Sum {
  static constexpr T kNeutral = 0;
  static RANVIER_INLINE T join(T a, T b) { return a + b; }
  static RANVIER_INLINE Vec<T> join_all(Vec<T> a, Vec<T> b) { return a + b; }
};
template <typename T>
struct Prod {
  static constexpr T kNeutral = 1;
  static RANVIER_INLINE T join(T a, T b) { return a * b; }
  static RANVIER_INLINE Vec<T> join_all(Vec<T> a, Vec<T> b) { return a * b; }
};
template <typename T>
struct Max {
  static constexpr T kNeutral = T(-INFINITY);
  static RANVIER_INLINE T join(T a, T b) { return scalar_max(a, b); }
  static RANVIER_INLINE Vec<T> join_all(Vec<T> a, Vec<T> b) { return max(a, b); }
};
template <typename T>
struct Min {
  static constexpr T kNeutral = T(INFINITY);
  static RANVIER_INLINE T join(T a, T b) { return scalar_min(a, b); }
  static RANVIER_INLINE Vec<T> join_all(Vec<T> a, Vec<T> b) { return min(a, b); }
};

// --- rows of adjacent elements ----------------------------------------------------------------------

constexpr int64_t kBlock = 512;      // elements reduced straight on, in four chains of vectors
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
RANVIER_INLINE Vec<T> load_or_neutral(const T* p, int64_t n) {
  T lanes[kWidth<T>];
  for (int i = 0; i < kWidth<T>; ++i) lanes[i] = i < n ? p[i] : Op::kNeutral;
  return load(lanes);
}

template <typename T, typename Op>
Vec<T> reduce_block(const T* x, int64_t n) {
  constexpr int64_t w = kWidth<T>;
  Vec<T> chain[4];
  for (int k = 0; k < 4; ++k) chain[k] = broadcast(Op::kNeutral);
  int64_t i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
    for (int k = 0; k < 4; ++k) chain[k] = Op::join_all(chain[k], load(x + i + k * w));
  }
  for (int k = 0; i + w <= n; i += w, ++k) chain[k] = Op::join_all(chain[k], load(x + i));
  if (i < n) chain[3] = Op::join_all(chain[3], load_or_neutral<T, Op>(x + i, n - i));
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

// --- columns: elements `stride` apart, a strip of kVecs vectors at a time ------------------------------

template <typename T, int kVecs>
struct Strip {
  Vec<T> v[kVecs];
};

// Rows x[0], x[stride], ...; at most kLeaf of them straight on, more as a tree. The last vector has `width` lanes.
template <typename T, typename Op, int kVecs, bool kPartial>
RANVIER_INLINE Strip<T, kVecs> load_strip(const T* x, int64_t width) {
  Strip<T, kVecs> strip;
  for (int k = 0; k < kVecs; ++k) strip.v[k] = kPartial ? load_partial(x, width) : load(x + k * kWidth<T>);
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

template <typename T>
constexpr int64_t kStrip = 4 * kWidth<T>;

// Columns begin..end of n >= 1 rows `stride` apart.
template <typename T, typename Op, int kLeaf>
void reduce_columns(const T* x, T* y, int64_t n, int64_t stride, int64_t begin, int64_t end) {
  constexpr int64_t w = kWidth<T>;
  int64_t c = begin;
  for (; c + 4 * w <= end; c += 4 * w) {
    const Strip<T, 4> strip = reduce_strip<T, Op, 4, false, kLeaf>(x + c, n, stride, w);
    for (int k = 0; k < 4; ++k) store(y + c + k * w, strip.v[k]);
  }
  for (; c < end; c += w) {
    const int64_t width = min_of(w, end - c);
    store_partial(y + c, reduce_strip<T, Op, 1, true, kLeaf>(x + c, n, stride, width).v[0], width);
  }
}

// The same for at most kRowBlock rows of many columns, in the same order of additions, but row after row (kRows at
// a time) into y, which stays in L1: memory is read as it lies.
template <typename T, typename Op, int kRows>
void join_rows(const T* x, T* y, int64_t stride, int64_t columns) {
  constexpr int64_t w = kWidth<T>;
  int64_t c = 0;
  for (; c + w <= columns; c += w) {
    Vec<T> total = load(y + c);
    for (int k = 0; k < kRows; ++k) total = Op::join_all(total, load(x + k * stride + c));
    store(y + c, total);
  }
  for (; c < columns; ++c) {
    for (int k = 0; k < kRows; ++k) y[c] = Op::join(y[c], x[k * stride + c]);
  }
}

template <typename T, typename Op>
void reduce_wide_rows(const T* x, T* y, int64_t n, int64_t stride, int64_t columns) {
  for (int64_t i = 0; i < columns; ++i) y[i] = x[i];
  int64_t r = 1;
  for (; r + 4 <= n; r += 4) join_rows<T, Op, 4>(x + r * stride, y, stride, columns);
  for (; r < n; ++r) join_rows<T, Op, 1>(x + r * stride, y, stride, columns);
}

constexpr int64_t kWide = 2048;  // columns of a part that stays in L1

// Several threads: chunks of rows into partial results, which are joined as the upper part of the same tree.
template <typename T, typename Op>
void reduce_columns_in_parallel(const T* x, T* y, int64_t n, int64_t inner) {
  int64_t chunk = kRowBlock;
  while (chunk * inner < kChunk) chunk *= 2;
  const int64_t chunks = ceil_div(n, chunk);
  const int64_t parts = ceil_div(inner, kWide);
  T* partial = y;
  if (chunks > 1) {
    partial = static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * static_cast<uint64_t>(chunks * inner)));
  }
  parallel(0, chunks * parts, grain_for(min_of(n, chunk) * min_of(inner, kWide)), [&](int64_t from, int64_t to) {
    for (int64_t u = from; u < to; ++u) {
      const int64_t c = u / parts, begin = u % parts * kWide, end = min_of(inner, begin + kWide);
      const int64_t rows = min_of(chunk, n - c * chunk);
      const T* source = x + c * chunk * inner;
      T* target = partial + c * inner;
      if (rows <= kRowBlock && inner > kStrip<T>) {
        reduce_wide_rows<T, Op>(source + begin, target + begin, rows, inner, end - begin);
      } else {
        reduce_columns<T, Op, kRowBlock>(source, target, rows, inner, begin, end);
      }
    }
  });
  if (chunks > 1) reduce_columns<T, Op, 1>(partial, y, chunks, inner, 0, inner);
}

// Few columns would leave most lanes idle: fold k rows into one row of k * inner columns, then join the k.
template <typename T, typename Op>
void reduce_few_columns(const T* x, T* y, int64_t n, int64_t inner) {
  const int64_t k = kStrip<T> / inner;
  const int64_t folded = n / k;
  T wide[kStrip<T>];
  reduce_columns_in_parallel<T, Op>(x, wide, folded, k * inner);
  for (int64_t i = 0; i < inner; ++i) {
    T total = wide[i];
    for (int64_t j = 1; j < k; ++j) total = Op::join(total, wide[j * inner + i]);
    for (int64_t r = folded * k; r < n; ++r) total = Op::join(total, x[r * inner + i]);
    y[i] = total;
  }
}

template <typename T, typename Op>
void reduce_long_row(const T* x, T* y, int64_t n) {
  constexpr int64_t w = kWidth<T>;
  const int64_t chunks = ceil_div(n, kChunk);
  T* partial = static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * static_cast<uint64_t>(chunks * w)));
  parallel(0, chunks, 1, [&](int64_t from, int64_t to) {
    for (int64_t c = from; c < to; ++c) {
      store(partial + c * w, reduce_tree<T, Op>(x + c * kChunk, min_of(kChunk, n - c * kChunk)));
    }
  });
  *y = join_lanes<T, Op>(reduce_strip<T, Op, 1, false, 1>(partial, chunks, w, w).v[0]);
}

template <typename T, typename Op>
void reduce_floats(const void* from, void* to, Rows rows) {
  const T* x = static_cast<const T*>(from);
  T* y = static_cast<T*>(to);
  const int64_t n = rows.columns;
  const int64_t matrix = n * rows.inner;
  if (n == 0) {
    for (int64_t i = 0; i < rows.outer * rows.inner; ++i) y[i] = Op::kNeutral;
  } else if (rows.inner == 1 && n > kChunk && rows.outer < 16) {
    for (int64_t o = 0; o < rows.outer; ++o) reduce_long_row<T, Op>(x + o * n, y + o, n);
  } else if (rows.inner == 1) {
    parallel(0, rows.outer, grain_for(n), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) y[o] = join_lanes<T, Op>(reduce_tree<T, Op>(x + o * n, n));
    });
  } else {
    // Calls nested in this parallel loop run serially; with few outer rows it is they that are parallel.
    const int64_t grain = rows.outer < 16 ? rows.outer : grain_for(matrix);
    const bool fold = rows.inner * 2 <= kStrip<T> && n >= 2 * kStrip<T>;
    parallel(0, rows.outer, grain, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        (fold ? reduce_few_columns<T, Op> : reduce_columns_in_parallel<T, Op>)(x + o * matrix, y + o * rows.inner, n,
                                                                               rows.inner);
      }
    });
  }
}

// --- integers: exact in any order, so plain loops -------------------------------------------------------

// clang-format off
struct IntSum { template <typename A> static A join(A a, A b) { return A(uint64_t(a) + uint64_t(b)); } };  // wraps
struct IntProd { template <typename A> static A join(A a, A b) { return A(uint64_t(a) * uint64_t(b)); } };
struct IntMax { template <typename A> static A join(A a, A b) { return a > b ? a : b; } };
struct IntMin { template <typename A> static A join(A a, A b) { return a < b ? a : b; } };
// clang-format on

template <typename T, typename A, typename Op>
void reduce_integers(const void* from, void* to, Rows rows, A neutral) {
  const T* x = static_cast<const T*>(from);
  A* y = static_cast<A*>(to);
  const int64_t n = rows.columns;
  parallel(0, rows.outer, grain_for(n * rows.inner), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      A* total = y + o * rows.inner;
      for (int64_t i = 0; i < rows.inner; ++i) total[i] = n == 0 ? neutral : A(x[o * n * rows.inner + i]);
      for (int64_t r = 1; r < n; ++r) {
        const T* row = x + (o * n + r) * rows.inner;
        for (int64_t i = 0; i < rows.inner; ++i) total[i] = Op::join(total[i], A(row[i]));
      }
    }
  });
}

template <typename T>
void reduce_integers_by(Reduction reduction, const void* x, void* y, Rows rows) {
  switch (reduction) {
    case Reduction::Sum: return reduce_integers<T, int64_t, IntSum>(x, y, rows, 0);
    case Reduction::Prod: return reduce_integers<T, int64_t, IntProd>(x, y, rows, 1);
    case Reduction::Max: return reduce_integers<T, T, IntMax>(x, y, rows, 0);
    case Reduction::Min: return reduce_integers<T, T, IntMin>(x, y, rows, 0);
  }
}

template <typename T>
void reduce_floats_by(Reduction reduction, const void* x, void* y, Rows rows) {
  switch (reduction) {
    case Reduction::Sum: return reduce_floats<T, Sum<T>>(x, y, rows);
    case Reduction::Prod: return reduce_floats<T, Prod<T>>(x, y, rows);
    case Reduction::Max: return reduce_floats<T, Max<T>>(x, y, rows);
    case Reduction::Min: return reduce_floats<T, Min<T>>(x, y, rows);
  }
}

void reduce(Reduction reduction, DType dtype, const void* x, void* y, Rows rows) {
  if (rows.outer == 0 || rows.inner == 0) return;
  switch (dtype) {
    case DType::Float32: return reduce_floats_by<float>(reduction, x, y, rows);
    case DType::Float64: return reduce_floats_by<double>(reduction, x, y, rows);
    case DType::Int32: return reduce_integers_by<int32_t>(reduction, x, y, rows);
    case DType::Int64: return reduce_integers_by<int64_t>(reduction, x, y, rows);
    default: return reduce_integers_by<uint8_t>(reduction, x, y, rows);  // uint8, bool
  }
}

// --- argmax, argmin, mean, logsumexp -----------------------------------------------------------------------

template <typename T, bool kLargest>
RANVIER_INLINE bool beats(T challenger, T best) {
  if (best != best) return false;  // the first NaN stays
  return (kLargest ? challenger > best : challenger < best) || challenger != challenger;
}

template <typename T, bool kLargest>
struct ExtremeOf {
  typedef Max<T> Op;
};
template <typename T>
struct ExtremeOf<T, false> {
  typedef Min<T> Op;
};

constexpr int64_t kSearch = 64;  // elements looked at together

// A row of adjacent elements. Floating: the extreme first, by vectors, then the first place that holds it.
template <typename T, bool kLargest>
int64_t place_in_row(const T* row, int64_t n) {
  int64_t place = 0;
  if constexpr (T(0.5) != T(0)) {
    typedef typename ExtremeOf<T, kLargest>::Op Op;
    const T extreme = join_lanes<T, Op>(reduce_tree<T, Op>(row, n));
    const bool is_nan = extreme != extreme;
    int32_t hits = 0;  // counted, not tested one by one: the count is a vector
    for (; hits == 0 && place + kSearch <= n; place += hits == 0 ? kSearch : 0) {
      for (int64_t i = 0; i < kSearch; ++i) hits += row[place + i] == extreme || row[place + i] != row[place + i];
    }
    while (is_nan ? row[place] == row[place] : row[place] != extreme) ++place;
  } else {
    for (int64_t c = 1; c < n; ++c) place = beats<T, kLargest>(row[c], row[place]) ? c : place;
  }
  return place;
}

constexpr int64_t kArgumentColumns = 64;

// At most kArgumentColumns columns of n rows, all side by side: memory is read in its order.
template <typename T, bool kLargest>
void places_in_columns(const T* x, int32_t* y, int64_t n, int64_t stride, int64_t columns) {
  T best[kArgumentColumns];
  for (int64_t i = 0; i < columns; ++i) best[i] = x[i];
  for (int64_t i = 0; i < columns; ++i) y[i] = 0;
  for (int64_t c = 1; c < n; ++c) {
    const T* row = x + c * stride;
    for (int64_t i = 0; i < columns; ++i) {
      const bool better = beats<T, kLargest>(row[i], best[i]);
      y[i] = better ? static_cast<int32_t>(c) : y[i];
      best[i] = better ? row[i] : best[i];
    }
  }
}

template <typename T, bool kLargest>
void argument_of(const void* from, int32_t* y, Rows rows) {
  const T* x = static_cast<const T*>(from);
  const int64_t n = rows.columns;
  if (rows.inner == 1) {
    parallel(0, rows.outer, grain_for(n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) y[r] = static_cast<int32_t>(place_in_row<T, kLargest>(x + r * n, n));
    });
    return;
  }
  const int64_t strips = ceil_div(rows.inner, kArgumentColumns);
  parallel(0, rows.outer * strips, grain_for(n * kArgumentColumns), [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      const int64_t o = u / strips, first = u % strips * kArgumentColumns;
      places_in_columns<T, kLargest>(x + o * n * rows.inner + first, y + o * rows.inner + first, n, rows.inner,
                                     min_of(kArgumentColumns, rows.inner - first));
    }
  });
}

template <typename T>
void argument_by(bool largest, const void* x, int32_t* y, Rows rows) {
  (largest ? argument_of<T, true> : argument_of<T, false>)(x, y, rows);
}

void argument(bool largest, DType dtype, const void* x, int32_t* y, Rows rows) {
  switch (dtype) {
    case DType::Float32: return argument_by<float>(largest, x, y, rows);
    case DType::Float64: return argument_by<double>(largest, x, y, rows);
    case DType::Int32: return argument_by<int32_t>(largest, x, y, rows);
    case DType::Int64: return argument_by<int64_t>(largest, x, y, rows);
    default: return argument_by<uint8_t>(largest, x, y, rows);
  }
}

// Exponentials of what lies below the row's maximum, summed in vectors of one chain per block of kBlock.
template <typename T>
Vec<T> exponential_sum(const T* x, T peak, int64_t n) {
  if (n > kBlock) {
    const int64_t half = split_point(n, kBlock);
    return exponential_sum(x, peak, half) + exponential_sum(x + half, peak, n - half);
  }
  Vec<T> total{};
  int64_t i = 0;
  for (; i + kWidth<T> <= n; i += kWidth<T>) total += exp(load(x + i) - broadcast(peak));
  if (i < n) total += exp(load_or_neutral<T, Max<T>>(x + i, n - i) - broadcast(peak));  // exp(-inf) past the end
  return total;
}

template <typename T>
void logsumexp_of(const void* from, void* to, Rows rows) {
  const T* x = static_cast<const T*>(from);
  T* y = static_cast<T*>(to);
  const int64_t n = rows.columns;
  parallel(0, rows.outer, grain_for(8 * n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T peak = join_lanes<T, Max<T>>(reduce_tree<T, Max<T>>(x + r * n, n));
      const T shift = isinf(peak) ? T(0) : peak;  // a row of -inf is log 0, not NaN
      y[r] = shift + T(::log(double(sum_lanes<T>(exponential_sum(x + r * n, shift, n)))));
    }
  });
}

void logsumexp(DType dtype, const void* x, void* y, Rows rows) {
  (dtype == DType::Float32 ? logsumexp_of<float> : logsumexp_of<double>)(x, y, rows);
}

template <typename T>
void divide_by(void* values, int64_t count, double terms) {
  T* y = static_cast<T*>(values);
  parallel(0, count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] /= T(terms);
  });
}

void mean_of_sum(DType dtype, void* y, int64_t count, double terms) {
  (dtype == DType::Float32 ? divide_by<float> : divide_by<double>)(y, count, terms);
}

}  // namespace

extern const ReduceKernels reduce_kernels;
const ReduceKernels reduce_kernels = {reduce, argument, logsumexp, mean_of_sum};

}  // namespace RANVIER_ISA
}  // namespace ranvier
