// Integers and truth values: exact in any order, so plain loops, cut where it suits the threads.
#include "cpu/reduce/tree.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// clang-format off
struct IntSum { template <typename A> static A join(A a, A b) { return A(uint64_t(a) + uint64_t(b)); } };  // wraps
struct IntProd { template <typename A> static A join(A a, A b) { return A(uint64_t(a) * uint64_t(b)); } };
struct IntMax { template <typename A> static A join(A a, A b) { return a > b ? a : b; } };
struct IntMin { template <typename A> static A join(A a, A b) { return a < b ? a : b; } };
// clang-format on

// A run of adjacent elements, n >= 1.
template <typename T, typename A, typename Op>
A reduce_run(const T* x, int64_t n) {
  A total = A(x[0]);
  for (int64_t i = 1; i < n; ++i) total = Op::join(total, A(x[i]));
  return total;
}

template <typename T, typename A, typename Op>
A reduce_long_run(const T* x, int64_t n) {
  const int64_t chunks = ceil_div(n, kChunk);
  A* partial = static_cast<A*>(thread_scratch(kScratchA, sizeof(A) * static_cast<uint64_t>(chunks)));
  parallel(0, chunks, 4, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      partial[c] = reduce_run<T, A, Op>(x + c * kChunk, min_of(kChunk, n - c * kChunk));
    }
  });
  return reduce_run<A, A, Op>(partial, chunks);
}

constexpr int64_t kColumnsPart = 1024;

// Columns begin..end of n >= 1 rows.
template <typename T, typename A, typename Op>
void reduce_rows(const T* x, A* total, int64_t n, int64_t inner, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) total[i] = A(x[i]);
  for (int64_t r = 1; r < n; ++r) {
    const T* row = x + r * inner;
    for (int64_t i = begin; i < end; ++i) total[i] = Op::join(total[i], A(row[i]));
  }
}

template <typename T, typename A, typename Op>
void reduce_of(const void* from, void* to, Rows rows, A neutral) {
  const T* x = static_cast<const T*>(from);
  A* y = static_cast<A*>(to);
  const int64_t n = rows.columns, inner = rows.inner;
  if (n == 0) {
    for (int64_t i = 0; i < rows.outer * inner; ++i) y[i] = neutral;
  } else if (inner == 1 && n > kChunk && rows.outer < 16) {
    for (int64_t o = 0; o < rows.outer; ++o) y[o] = reduce_long_run<T, A, Op>(x + o * n, n);
  } else if (inner == 1) {
    parallel(0, rows.outer, grain_for(n), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) y[o] = reduce_run<T, A, Op>(x + o * n, n);
    });
  } else {
    const int64_t parts = ceil_div(inner, kColumnsPart);
    parallel(0, rows.outer * parts, grain_for(n * min_of(inner, kColumnsPart)), [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) {
        const int64_t o = u / parts, first = u % parts * kColumnsPart;
        reduce_rows<T, A, Op>(x + o * n * inner, y + o * inner, n, inner, first, min_of(inner, first + kColumnsPart));
      }
    });
  }
}

template <typename T>
void reduce_by(Reduction reduction, const void* x, void* y, Rows rows) {
  switch (reduction) {
    case Reduction::Sum: return reduce_of<T, int64_t, IntSum>(x, y, rows, 0);
    case Reduction::Prod: return reduce_of<T, int64_t, IntProd>(x, y, rows, 1);
    case Reduction::Max: return reduce_of<T, T, IntMax>(x, y, rows, 0);
    case Reduction::Min: return reduce_of<T, T, IntMin>(x, y, rows, 0);
    case Reduction::Squares: return;  // of floats alone
  }
}

}  // namespace

void reduce_integers(Reduction reduction, DType dtype, const void* x, void* y, Rows rows) {
  switch (dtype) {
    case DType::Int32: return reduce_by<int32_t>(reduction, x, y, rows);
    case DType::Int64: return reduce_by<int64_t>(reduction, x, y, rows);
    default: return reduce_by<uint8_t>(reduction, x, y, rows);  // uint8, bool
  }
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
