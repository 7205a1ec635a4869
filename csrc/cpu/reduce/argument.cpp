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

template <typename T>
constexpr bool kFloating = T(0.5) != T(0);

template <typename T>
RANVIER_INLINE bool same_value(T a, T b) {
  return a == b || (a != a && b != b);
}

// --- rows of adjacent elements: floating ones by the first block that holds their extreme, which alone is searched --

constexpr int64_t kShortRow = 256;  // short enough to be searched to its end

template <typename T>
RANVIER_INLINE Vec<T> lane_numbers() {
  Vec<T> numbers;
  for (int i = 0; i < kWidth<T>; ++i) numbers[i] = T(i);
  return numbers;
}

// The places in 1 <= count <= width short rows: the least number of an element that is the row's extreme. Where one
// is NaN the extreme is NaN, and NaNs alone are hits.
template <typename T, bool kLargest>
void places_in_short_rows(const T* x, int32_t* y, int64_t n, int64_t count) {
  typedef typename ExtremeOf<T, kLargest>::Op Op;
  T extremes[kWidth<T>], found[kWidth<T>];
  store(extremes, reduce_rows_together<T, Op>(x, n, count));
  const Vec<T> numbers = lane_numbers<T>(), none = broadcast(T(kShortRow));
  Vec<T> places[kWidth<T>];
  for (int64_t r = 0; r < kWidth<T>; ++r) {
    places[r] = none;
    if (r >= count) continue;
    const Vec<T> extreme = broadcast(extremes[r]);
    for (int64_t i = 0; i < n; i += kWidth<T>) {
      const int64_t left = min_of(kWidth<T>, n - i);
      const Vec<T> here = load_padded<T>(x + r * n + i, left, Op::kNeutral);
      const Vec<T> place = select((here == extreme) | (here != here), numbers + T(i), none);
      places[r] = select(place < places[r], place, places[r]);
    }
  }
  store(found, join_each<T>(places, [](Vec<T> a, Vec<T> b) RANVIER_INLINED { return select(b < a, b, a); }));
  for (int64_t r = 0; r < count; ++r) y[r] = static_cast<int32_t>(found[r]);
}

template <typename T>
constexpr int64_t kLook = 16 * kWidth<T>;  // elements of a block

// Lane by lane the extreme of a row, and in `at` the number of the first block that has it.
template <typename T, bool kLargest>
RANVIER_INLINE Vec<T> extreme_and_block(const T* row, int64_t n, Vec<T>& at) {
  typedef typename ExtremeOf<T, kLargest>::Op Op;
  Vec<T> best = broadcast(Op::kNeutral), number{};
  at = number;
  for (int64_t i = 0; i < n; i += kLook<T>) {
    const Vec<T> here =
        n - i >= kLook<T> ? reduce_block<T, Op>(row + i, kLook<T>) : reduce_block<T, Op>(row + i, n - i);
    const IntVec<T> better = ~(kLargest ? here <= best : here >= best) & (best == best);
    best = select(better, here, best);
    at = select(better, number, at);
    number += T(1);
  }
  return best;
}

// The extremes of 1 <= count <= width rows, and their places.
template <typename T, bool kLargest>
void extremes_in_rows(const T* x, int64_t n, int64_t count, T* extremes, int64_t* places) {
  typedef typename ExtremeOf<T, kLargest>::Op Op;
  const auto least = [](Vec<T> a, Vec<T> b) RANVIER_INLINED { return select(b < a, b, a); };
  const Vec<T> numbers = lane_numbers<T>(), none = broadcast<T>(1 << 25);
  T blocks[kWidth<T>], found[kWidth<T>];
  Vec<T> best[kWidth<T>], at[kWidth<T>];
  for (int64_t r = 0; r < kWidth<T>; ++r) best[r] = at[r] = broadcast(Op::kNeutral);
  for (int64_t r = 0; r < count; ++r) best[r] = extreme_and_block<T, kLargest>(x + r * n, n, at[r]);
  store(extremes, join_each<T>(best, [](Vec<T> a, Vec<T> b) RANVIER_INLINED { return Op::join_all(a, b); }));
  for (int64_t r = 0; r < count; ++r) {  // NaNs are hits: where one is, the extreme is NaN
    at[r] = select((best[r] == broadcast(extremes[r])) | (best[r] != best[r]), at[r], none);
  }
  store(blocks, join_each<T>(at, least));
  for (int64_t r = 0; r < count; ++r) {
    const int64_t first = static_cast<int64_t>(blocks[r]) * kLook<T>;
    const T* block = x + r * n + first;
    const Vec<T> extreme = broadcast(extremes[r]);
    Vec<T> place = none;
    each_vector<T>(min_of(kLook<T>, n - first), [&](int64_t i, int64_t left) RANVIER_INLINED {
      const Vec<T> here = left == kWidth<T> ? load(block + i) : load_padded<T>(block + i, left, Op::kNeutral);
      place = least(place, select((here == extreme) | (here != here), numbers + T(i), none));
    });
    at[r] = place;
  }
  store(found, join_each<T>(at, least));
  for (int64_t r = 0; r < count; ++r) {
    places[r] = static_cast<int64_t>(blocks[r]) * kLook<T> + static_cast<int64_t>(found[r]);
  }
}

// A long row in chunks, the later ones of which win where they are better.
template <typename T, bool kLargest>
int64_t place_in_long_row(const T* row, int64_t n) {
  struct Best {
    T value;
    int64_t place;
  };
  const int64_t chunks = ceil_div(n, kChunk);
  Best* best = static_cast<Best*>(thread_scratch(kScratchA, sizeof(Best) * static_cast<uint64_t>(chunks)));
  parallel(0, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      T values[kWidth<T>];
      int64_t places[kWidth<T>];
      extremes_in_rows<T, kLargest>(row + c * kChunk, min_of(kChunk, n - c * kChunk), 1, values, places);
      best[c] = {values[0], c * kChunk + places[0]};
    }
  });
  Best first = best[0];
  for (int64_t c = 1; c < chunks; ++c) {
    if (beats<T, kLargest>(best[c].value, first.value)) first = best[c];
  }
  return first.place;
}

template <typename T, bool kLargest>
void places_in_rows(const T* x, int32_t* y, int64_t n, int64_t rows) {
  if constexpr (kFloating<T>) {
    if (n > kChunk && (rows < 16 || n > (1 << 24))) {
      for (int64_t r = 0; r < rows; ++r) y[r] = static_cast<int32_t>(place_in_long_row<T, kLargest>(x + r * n, n));
      return;
    }
  }
  parallel(0, rows, grain_for(n), [&](int64_t begin, int64_t end) {
    if constexpr (kFloating<T>) {
      for (int64_t r = begin; r < end; r += kWidth<T>) {
        const int64_t count = min_of(kWidth<T>, end - r);
        if (n <= kShortRow) {
          places_in_short_rows<T, kLargest>(x + r * n, y + r, n, count);
          continue;
        }
        T values[kWidth<T>];
        int64_t places[kWidth<T>];
        extremes_in_rows<T, kLargest>(x + r * n, n, count, values, places);
        for (int64_t i = 0; i < count; ++i) y[r + i] = static_cast<int32_t>(places[i]);
      }
    } else {
      for (int64_t r = begin; r < end; ++r) {
        const T* row = x + r * n;
        int64_t place = 0;
        for (int64_t c = 1; c < n; ++c) place = beats<T, kLargest>(row[c], row[place]) ? c : place;
        y[r] = static_cast<int32_t>(place);
      }
    }
  });
}

// --- columns: row after row against the best so far, so that memory is read in its order ------------------------

constexpr int64_t kArgumentColumns = 1024;  // side by side: their best stay in L1
constexpr int64_t kParts = 8;               // of the rows of one matrix, at most
constexpr int64_t kRowsTogether = 4;        // met by a vector before its best are stored

// The best of `columns` columns, and the rows that hold them, over rows begin..end.
template <typename T, bool kLargest>
struct BestRows {
  T value[kArgumentColumns];
  typename VecTypes<T>::Scalar row[kArgumentColumns];

  RANVIER_INLINE void meet(const T* x, int64_t first_row, int64_t rows, int64_t stride, int64_t columns) {
    for (int64_t i = 0; i < columns; i += kWidth<T>) {  // whole vectors: the arrays have room
      const int64_t left = min_of(kWidth<T>, columns - i);
      Vec<T> best = load(value + i);
      IntVec<T> place;
      memcpy(&place, row + i, sizeof(place));
      for (int64_t r = 0; r < rows; ++r) {
        const Vec<T> here = load_some(x + r * stride + i, left);
        const IntVec<T> better = ~(kLargest ? here <= best : here >= best) & (best == best);
        best = select(better, here, best);
        place = better ? IntVec<T>{} + typename VecTypes<T>::Scalar(first_row + r) : place;
      }
      store(value + i, best);
      memcpy(row + i, &place, sizeof(place));
    }
  }

  void begin(const T* x, int64_t columns) {
    for (int64_t i = 0; i < kArgumentColumns; ++i) {
      value[i] = i < columns ? x[i] : T(0);
      row[i] = 0;
    }
  }
};

// Rows begin..end of columns that lie side by side; few of them are folded, kFold rows as one, to fill the vectors.
template <typename T, bool kLargest>
void best_of_rows(const T* x, int64_t rows, int64_t stride, int64_t columns, BestRows<T, kLargest>& best) {
  const bool folds = columns == stride && columns < kWidth<T> && rows >= kWidth<T>;
  const int64_t fold = folds ? kWidth<T> : 1, wide = rows / fold;
  best.begin(x, columns * fold);
  int64_t r = 1;
  for (; r + kRowsTogether <= wide; r += kRowsTogether) {
    best.meet(x + r * fold * stride, r, kRowsTogether, fold * stride, fold * columns);
  }
  for (; r < wide; ++r) best.meet(x + r * fold * stride, r, 1, fold * stride, fold * columns);
  for (int64_t i = 0; folds && i < columns; ++i) {  // the earliest of the best of each part, then the rows left over
    T value = best.value[i];
    int64_t row = best.row[i] * fold;
    for (int64_t k = 1; k < fold; ++k) {
      const T other = best.value[k * columns + i];
      const int64_t at = best.row[k * columns + i] * fold + k;
      if (beats<T, kLargest>(other, value) || (same_value(other, value) && at < row)) {
        value = other;
        row = at;
      }
    }
    for (int64_t at = wide * fold; at < rows; ++at) {
      if (!beats<T, kLargest>(x[at * stride + i], value)) continue;
      value = x[at * stride + i];
      row = at;
    }
    best.value[i] = value;
    best.row[i] = static_cast<typename VecTypes<T>::Scalar>(row);
  }
}

// n rows in parts, the later ones of which win where they are better.
template <typename T, bool kLargest>
void places_in_columns(const T* x, int32_t* y, int64_t n, int64_t stride, int64_t columns, bool alone) {
  const int64_t each = ceil_div(n, alone ? max_of(1, min_of(kParts, n * columns / kChunk)) : 1);
  const int64_t parts = ceil_div(n, each);
  typedef BestRows<T, kLargest> Best;
  Best* best = static_cast<Best*>(thread_scratch(kScratchA, sizeof(Best) * static_cast<uint64_t>(parts)));
  parallel(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t rows = min_of(each, n - p * each);
      best_of_rows<T, kLargest>(x + p * each * stride, rows, stride, columns, best[p]);
    }
  });
  for (int64_t i = 0; i < columns; ++i) {
    T value = best[0].value[i];
    y[i] = static_cast<int32_t>(best[0].row[i]);
    for (int64_t p = 1; p < parts; ++p) {
      if (!beats<T, kLargest>(best[p].value[i], value)) continue;
      value = best[p].value[i];
      y[i] = static_cast<int32_t>(p * each + best[p].row[i]);
    }
  }
}

// Integers.
template <typename T, bool kLargest>
void integer_places_in_columns(const T* x, int32_t* y, int64_t n, int64_t stride, int64_t columns) {
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
  if (n == 1) {
    memset(y, 0, sizeof(int32_t) * static_cast<uint64_t>(rows.outer * rows.inner));
    return;
  }
  if (rows.inner == 1) return places_in_rows<T, kLargest>(x, y, n, rows.outer);
  const int64_t strips = ceil_div(rows.inner, kArgumentColumns), units = rows.outer * strips;
  const bool alone = units < 4;  // then rows are shared out, else the strips
  parallel(0, units, alone ? units : grain_for(n * kArgumentColumns), [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      const int64_t o = u / strips, first = u % strips * kArgumentColumns;
      const int64_t columns = min_of(kArgumentColumns, rows.inner - first);
      const T* source = x + o * n * rows.inner + first;
      int32_t* target = y + o * rows.inner + first;
      if constexpr (kFloating<T>) {
        places_in_columns<T, kLargest>(source, target, n, rows.inner, columns, alone);
      } else {
        integer_places_in_columns<T, kLargest>(source, target, n, rows.inner, columns);
      }
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
    each_group<T>(begin, end, n, [&](int64_t first, int64_t count) {
      const Vec<T> peak = reduce_rows_together<T, Max<T>>(x + first * n, n, count);
      const IntVec<T> infinite = magnitude<T>(peak) == T(INFINITY);  // a row of -inf is log 0, not NaN
      T shifts[kWidth<T>];
      store(shifts, select(infinite, Vec<T>{}, peak));
      Vec<T> parts[kWidth<T>];
      each_part<T>(parts, count,
                   [&](int64_t r) RANVIER_INLINED { return exponential_sum(x + (first + r) * n, shifts[r], n); });
      const Vec<T> sum = load(shifts) + log(sum_each<T>(parts));
      store_some(y + first, select(peak == T(INFINITY), peak, sum), count);  // decay takes nothing above 0
    });
  });
}

}  // namespace

void reduce_logsumexp(DType dtype, const void* x, void* y, Rows rows) {
  (dtype == DType::Float32 ? logsumexp_of<float> : logsumexp_of<double>)(x, y, rows);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
