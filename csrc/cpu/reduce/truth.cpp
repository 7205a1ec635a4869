// any and all, of the bits of the elements: a number is 0 where all of them are, a float where all but the sign are.
//
// `any` joins elements by or, `all` by the least of the unsigned numbers. Both may meet an element twice and in any
// order, so rows are cut where it suits, and the last vector of a row reaches back over elements already seen.
#include "cpu/reduce/tree.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

template <typename Unsigned, bool kFloating, bool kIsAll>
struct Truth {
  typedef Unsigned U;
  typedef U V __attribute__((vector_size(kVectorBytes)));
  typedef Truth<uint8_t, false, kIsAll> OfBools;
  static constexpr bool kAll = kIsAll;
  static constexpr int64_t kLanes = kVectorBytes / static_cast<int64_t>(sizeof(U));
  static constexpr U kNeutral = kAll ? U(-1) : U(0);

  template <typename X>
  static RANVIER_INLINE X without_sign(X bits) {
    if constexpr (kFloating) return X(bits + bits);
    return bits;
  }
  static RANVIER_INLINE V take(const U* p) { return without_sign(load_bits(p)); }
  static RANVIER_INLINE U take_one(U bits) { return without_sign(bits); }
  template <typename X>
  static RANVIER_INLINE X join(X a, X b) {
    if constexpr (kAll) return a < b ? a : b;
    return X(a | b);
  }
  static RANVIER_INLINE V load_bits(const U* p) {
    V v;
    memcpy(&v, p, sizeof(v));
    return v;
  }
  // Whether any (all) lanes are not 0.
  static RANVIER_INLINE bool answer(V v) {
    uint64_t words[kVectorBytes / 8];
    if constexpr (kAll) {
      const auto zero = v == 0;
      memcpy(words, &zero, sizeof(words));
    } else {
      memcpy(words, &v, sizeof(words));
    }
    uint64_t together = 0;
    for (const uint64_t word : words) together |= word;
    return (together != 0) != kAll;
  }
};

// --- rows of adjacent elements --------------------------------------------------------------------------

// n <= kBlockBytes of elements, all looked at.
template <typename Op>
bool block_truth(const typename Op::U* x, int64_t n) {
  typedef typename Op::V V;
  constexpr int64_t w = Op::kLanes;
  if (n < w) {
    typename Op::U total = Op::kNeutral;
    for (int64_t i = 0; i < n; ++i) total = Op::join(total, Op::take_one(x[i]));
    return total != 0;
  }
  V total[4];
  for (V& each : total) each = Op::take(x + n - w);
  int64_t i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
    for (int k = 0; k < 4; ++k) total[k] = Op::join(total[k], Op::take(x + i + k * w));
  }
  for (; i + w <= n; i += w) total[0] = Op::join(total[0], Op::take(x + i));
  return Op::answer(Op::join(Op::join(total[0], total[1]), Op::join(total[2], total[3])));
}

// Block by block, until the answer is known.
template <typename Op>
bool row_truth(const typename Op::U* x, int64_t n) {
  constexpr int64_t block = 4096 / static_cast<int64_t>(sizeof(typename Op::U));
  for (int64_t i = 0; i < n; i += block) {
    if (block_truth<Op>(x + i, min_of(block, n - i)) != Op::kAll) return !Op::kAll;
  }
  return Op::kAll;
}

// The first chunk often decides; else the others, on several threads.
template <typename Op>
bool long_row_truth(const typename Op::U* x, int64_t n) {
  if (row_truth<Op>(x, min_of(n, kChunk)) != Op::kAll) return !Op::kAll;
  const int64_t chunks = ceil_div(n, kChunk);
  uint8_t* found = static_cast<uint8_t*>(thread_scratch(kScratchA, static_cast<uint64_t>(chunks)));
  found[0] = Op::kAll;
  parallel(1, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) found[c] = row_truth<Op>(x + c * kChunk, min_of(kChunk, n - c * kChunk));
  });
  return row_truth<typename Op::OfBools>(found, chunks);
}

// --- columns --------------------------------------------------------------------------------------------

constexpr int64_t kPart = 512;  // columns whose totals stay in L1

// total[i] joined with x[r * stride + i] of all rows, kRows at a time.
template <typename Op, int kRows>
RANVIER_INLINE void join_rows(const typename Op::U* x, typename Op::U* total, int64_t stride, int64_t width) {
  typedef typename Op::V V;
  constexpr int64_t w = Op::kLanes;
  const auto at = [&](int64_t i) {
    V v = Op::load_bits(total + i);
    for (int r = 0; r < kRows; ++r) v = Op::join(v, Op::take(x + r * stride + i));
    memcpy(total + i, &v, sizeof(v));
  };
  int64_t i = 0;
  for (; i + w <= width; i += w) at(i);
  if (i == width) return;
  if (width >= w) return at(width - w);
  for (; i < width; ++i) {
    for (int r = 0; r < kRows; ++r) total[i] = Op::join(total[i], Op::take_one(x[r * stride + i]));
  }
}

// n rows of at most kPart columns. Few columns that lie together would leave most lanes idle: k rows count as one.
template <typename Op>
void column_truth(const typename Op::U* x, uint8_t* y, int64_t n, int64_t stride, int64_t columns) {
  typedef typename Op::U U;
  const int64_t k = stride == columns ? max_of(1, min_of(n, 4 * Op::kLanes / columns)) : 1;
  U total[kPart];
  for (int64_t i = 0; i < k * columns; ++i) total[i] = Op::kNeutral;
  const int64_t rows = n / k;
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) join_rows<Op, 4>(x + r * k * stride, total, k * stride, k * columns);
  for (; r < rows; ++r) join_rows<Op, 1>(x + r * k * stride, total, k * stride, k * columns);
  join_rows<Op, 1>(x + rows * k * stride, total, stride, (n - rows * k) * columns);
  for (int64_t i = 0; i < columns; ++i) {
    U together = total[i];
    for (int64_t j = 1; j < k; ++j) together = Op::join(together, total[j * columns + i]);
    y[i] = together != 0;
  }
}

// Chunks of rows, each into rows of truth values, which are the same again.
template <typename Op>
void columns_truth(const typename Op::U* x, uint8_t* y, Rows rows) {
  const int64_t n = rows.columns, inner = rows.inner;
  const int64_t parts = ceil_div(inner, kPart), width = min_of(inner, kPart);
  const int64_t chunk = max_of(64, kChunk / width), chunks = ceil_div(n, chunk);
  uint8_t* partial = y;
  if (chunks > 1) {
    partial = static_cast<uint8_t*>(thread_scratch(kScratchA, static_cast<uint64_t>(rows.outer * chunks * inner)));
  }
  parallel(0, rows.outer * chunks * parts, grain_for(width * min_of(n, chunk)), [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      const int64_t first = u % parts * kPart, o = u / parts / chunks, c = u / parts % chunks;
      column_truth<Op>(x + (o * n + c * chunk) * inner + first, partial + u / parts * inner + first,
                       min_of(chunk, n - c * chunk), inner, min_of(kPart, inner - first));
    }
  });
  if (chunks == 1) return;
  for (int64_t o = 0; o < rows.outer; ++o) {
    for (int64_t first = 0; first < inner; first += kPart) {
      column_truth<typename Op::OfBools>(partial + o * chunks * inner + first, y + o * inner + first, chunks, inner,
                                         min_of(kPart, inner - first));
    }
  }
}

template <typename Op>
void truth(const void* from, uint8_t* y, Rows rows) {
  const auto* x = static_cast<const typename Op::U*>(from);
  const int64_t n = rows.columns;
  if (n == 0) {
    memset(y, Op::kAll, static_cast<size_t>(rows.outer * rows.inner));
  } else if (rows.inner > 1) {
    columns_truth<Op>(x, y, rows);
  } else if (n > kChunk && rows.outer < 16) {
    for (int64_t o = 0; o < rows.outer; ++o) y[o] = long_row_truth<Op>(x + o * n, n);
  } else {
    parallel(0, rows.outer, grain_for(n), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) y[o] = row_truth<Op>(x + o * n, n);
    });
  }
}

template <bool kAll>
void truth_of(DType dtype, const void* x, uint8_t* y, Rows rows) {
  switch (dtype) {
    case DType::Float32: return truth<Truth<uint32_t, true, kAll>>(x, y, rows);
    case DType::Float64: return truth<Truth<uint64_t, true, kAll>>(x, y, rows);
    case DType::Int32: return truth<Truth<uint32_t, false, kAll>>(x, y, rows);
    case DType::Int64: return truth<Truth<uint64_t, false, kAll>>(x, y, rows);
    default: return truth<Truth<uint8_t, false, kAll>>(x, y, rows);  // uint8, bool
  }
}

}  // namespace

void reduce_truth(bool all, DType dtype, const void* x, bool* y, Rows rows) {
  if (rows.outer == 0 || rows.inner == 0) return;
  (all ? truth_of<true> : truth_of<false>)(dtype, x, reinterpret_cast<uint8_t*>(y), rows);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
