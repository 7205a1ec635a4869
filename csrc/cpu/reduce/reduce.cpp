#include "cpu/reduce/tree.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

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
    for (int k = 0; k < kRows; ++k) total = Op::join_all(total, Op::take(load(x + k * stride + c)));
    store(y + c, total);
  }
  for (; c < columns; ++c) {
    for (int k = 0; k < kRows; ++k) y[c] = Op::join(y[c], Op::take(x[k * stride + c]));
  }
}

template <typename T, typename Op>
void reduce_wide_rows(const T* x, T* y, int64_t n, int64_t stride, int64_t columns) {
  for (int64_t i = 0; i < columns; ++i) y[i] = Op::take(x[i]);
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
  if (chunks > 1) reduce_columns<T, typename Op::Upper, 1>(partial, y, chunks, inner, 0, inner);
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
    for (int64_t r = folded * k; r < n; ++r) total = Op::join(total, Op::take(x[r * inner + i]));
    y[i] = total;
  }
}

// Reductions of one element each.
template <typename T, typename Op>
void take_each(const T* x, T* y, int64_t n) {
  parallel(0, n, grain_for(1), [&](int64_t begin, int64_t end) {
    each_vector<T>(end - begin, [&](int64_t i, int64_t left) RANVIER_INLINED {
      store_some(y + begin + i, Op::take(load_some(x + begin + i, left)), left);
    });
  });
}

template <typename T, typename Op>
void reduce_floats(const void* from, void* to, Rows rows) {
  const T* x = static_cast<const T*>(from);
  T* y = static_cast<T*>(to);
  const int64_t n = rows.columns;
  const int64_t matrix = n * rows.inner;
  if (n == 0) {
    for (int64_t i = 0; i < rows.outer * rows.inner; ++i) y[i] = Op::kNeutral;
  } else if (n == 1) {
    take_each<T, Op>(x, y, rows.outer * rows.inner);
  } else if (rows.inner == 1 && n > kChunk && rows.outer < 16) {
    for (int64_t o = 0; o < rows.outer; ++o) y[o] = reduce_long_row<T, Op>(x + o * n, n);
  } else if (rows.inner == 1) {
    parallel(0, rows.outer, grain_for(n), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; o += kWidth<T>) {
        const int64_t count = min_of(kWidth<T>, end - o);
        store_some(y + o, reduce_rows_together<T, Op>(x + o * n, n, count), count);
      }
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

template <typename T>
void reduce_floats_by(Reduction reduction, const void* x, void* y, Rows rows) {
  switch (reduction) {
    case Reduction::Sum: return reduce_floats<T, Sum<T>>(x, y, rows);
    case Reduction::Prod: return reduce_floats<T, Prod<T>>(x, y, rows);
    case Reduction::Max: return reduce_floats<T, Max<T>>(x, y, rows);
    case Reduction::Min: return reduce_floats<T, Min<T>>(x, y, rows);
    case Reduction::Squares: return reduce_floats<T, Squares<T>>(x, y, rows);
  }
}

void reduce(Reduction reduction, DType dtype, const void* x, void* y, Rows rows) {
  if (rows.outer == 0 || rows.inner == 0) return;
  switch (dtype) {
    case DType::Float32: return reduce_floats_by<float>(reduction, x, y, rows);
    case DType::Float64: return reduce_floats_by<double>(reduction, x, y, rows);
    default: return reduce_integers(reduction, dtype, x, y, rows);
  }
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

template <typename T>
void root_of(void* values, int64_t count) {
  T* y = static_cast<T*>(values);
  parallel(0, count, grain_for(4), [&](int64_t begin, int64_t end) {
    each_vector<T>(end - begin, [&](int64_t i, int64_t left) RANVIER_INLINED {
      store_some(y + begin + i, sqrt(load_some(y + begin + i, left)), left);
    });
  });
}

void root(DType dtype, void* y, int64_t count) {
  (dtype == DType::Float32 ? root_of<float> : root_of<double>)(y, count);
}

}  // namespace

extern const ReduceKernels reduce_kernels;
const ReduceKernels reduce_kernels = {reduce, reduce_argument, reduce_logsumexp, mean_of_sum, root, reduce_truth};

}  // namespace RANVIER_ISA
}  // namespace ranvier
