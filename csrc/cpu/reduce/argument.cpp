// argmax, argmin and logsumexp.
#include "cpu/reduce/tree.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

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
    const T extreme = n > kChunk ? reduce_long_row<T, Op>(row, n) : join_lanes<T, Op>(reduce_tree<T, Op>(row, n));
    const bool is_nan = extreme != extreme;
    int32_t hits = 0;  // counted, not tested one by one: the count is a vector
    for (; hits == 0 && !is_nan && place + kSearch <= n; place += hits == 0 ? kSearch : 0) {
      for (int64_t i = 0; i < kSearch; ++i) hits += row[place + i] == extreme;
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

}  // namespace

void reduce_argument(bool largest, DType dtype, const void* x, int32_t* y, Rows rows) {
  switch (dtype) {
    case DType::Float32: return argument_by<float>(largest, x, y, rows);
    case DType::Float64: return argument_by<double>(largest, x, y, rows);
    case DType::Int32: return argument_by<int32_t>(largest, x, y, rows);
    case DType::Int64: return argument_by<int64_t>(largest, x, y, rows);
    default: return argument_by<uint8_t>(largest, x, y, rows);
  }
}

namespace {

// Exponentials of what lies below the row's maximum, summed in vectors of one chain per block of kBlock.
template <typename T>
Vec<T> exponential_sum(const T* x, T peak, int64_t n) {
  if (n > kBlock) {
    const int64_t half = split_point(n, kBlock);
    return exponential_sum(x, peak, half) + exponential_sum(x + half, peak, n - half);
  }
  Vec<T> total{};
  int64_t i = 0;
  for (; i + kWidth<T> <= n; i += kWidth<T>) total += decay(load(x + i) - broadcast(peak));
  if (i < n) total += decay(load_padded<T>(x + i, n - i, T(-INFINITY)) - broadcast(peak));  // exp(-inf) past the end
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
      if (peak == T(INFINITY)) {  // decay takes nothing above 0
        y[r] = peak;
        continue;
      }
      const T shift = isinf(peak) ? T(0) : peak;  // a row of -inf is log 0, not NaN
      y[r] = shift + T(::log(double(sum_lanes<T>(exponential_sum(x + r * n, shift, n)))));
    }
  });
}

}  // namespace

void reduce_logsumexp(DType dtype, const void* x, void* y, Rows rows) {
  (dtype == DType::Float32 ? logsumexp_of<float> : logsumexp_of<double>)(x, y, rows);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
