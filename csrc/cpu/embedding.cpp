#include "ops/embedding.h"

#include "cpu/row.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// embedding and take gather; embedding's gradient and scatter_add add.
// body(o, begin, end): places begin..end of the o-th matrix, of the `count` that each has.
template <typename Body>
RANVIER_INLINE void each_place(TableShape s, int64_t work, const Body& body) {
  parallel(0, s.outer * s.count, grain_for(work), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end;) {
      const int64_t o = r / s.count, last = min_of(end, (o + 1) * s.count);
      body(o, r - o * s.count, last - o * s.count);
      r = last;
    }
  });
}

template <typename T>
void gather_elements(const T* x, const int64_t* indices, T* y, TableShape s) {
  each_place(s, 2, [&](int64_t o, int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) y[o * s.count + j] = x[o * s.rows + indices[j]];
  });
}

constexpr int64_t kAhead = 8;  // rows fetched before they are copied: their places follow no order

void gather_rows(const char* x, const int64_t* indices, char* y, TableShape s, int64_t row_bytes) {
  each_place(s, row_bytes / 4, [&](int64_t o, int64_t begin, int64_t end) {
    const char* table = x + o * s.rows * row_bytes;
    char* to = y + o * s.count * row_bytes;
    with_copy_of(row_bytes, [&](auto copy) RANVIER_INLINED {
      int64_t j = begin;
      for (; j + kAhead < end; ++j) {
        __builtin_prefetch(table + indices[j + kAhead] * row_bytes);
        copy(to + j * row_bytes, table + indices[j] * row_bytes);
      }
      for (; j < end; ++j) copy(to + j * row_bytes, table + indices[j] * row_bytes);
    });
  });
}

void gather(const void* x, const int64_t* indices, void* y, TableShape s, int64_t item_size) {
  if (s.width == 1 && item_size == 4) {
    return gather_elements(static_cast<const uint32_t*>(x), indices, static_cast<uint32_t*>(y), s);
  }
  if (s.width == 1 && item_size == 8) {
    return gather_elements(static_cast<const uint64_t*>(x), indices, static_cast<uint64_t*>(y), s);
  }
  const char* from = static_cast<const char*>(x);
  char* to = static_cast<char*>(y);
  gather_rows(from, indices, to, s, s.width * item_size);
}

constexpr int64_t kColumns = 64;       // a thread's share of wide rows, or more
constexpr int64_t kSerialWork = 8192;  // elements below which one thread does all

// to += from.
template <typename T>
RANVIER_INLINE void add_row(T* __restrict__ to, const T* __restrict__ from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] += from[i];
}
#if defined(__AVX512F__)  // where a part of a vector costs what all of it does
RANVIER_INLINE void add_row(float* to, const float* from, int64_t n) {
  each_vector<float>(n, [&](int64_t i, int64_t left) RANVIER_INLINED {
    store_some(to + i, load_some(to + i, left) + load_some(from + i, left), left);
  });
}
RANVIER_INLINE void add_row(double* to, const double* from, int64_t n) {
  each_vector<double>(n, [&](int64_t i, int64_t left) RANVIER_INLINED {
    store_some(to + i, load_some(to + i, left) + load_some(from + i, left), left);
  });
}
#endif

// Columns begin..end of the updates named by `which` (all where null), in their order.
template <typename T>
void add_rows(const T* updates, const int64_t* indices, const int32_t* which, int64_t count, T* y, int64_t width,
              int64_t begin, int64_t end) {
  constexpr int64_t kLine = 64 / int64_t(sizeof(T));
  const int64_t fetched = min_of(end - begin, kColumns);
  for (int64_t k = 0; k < count; ++k) {
    if (k + kAhead < count) {  // the first lines of the part of a row
      const T* later = y + indices[which == nullptr ? k + kAhead : which[k + kAhead]] * width + begin;
      for (int64_t i = 0; i < fetched; i += kLine) __builtin_prefetch(later + i, 1);
    }
    const int64_t j = which == nullptr ? k : which[k];
    add_row(y + indices[j] * width + begin, updates + j * width + begin, end - begin);
  }
}

// The same for rows begin_row..end_row: of some updates at a time those that fall on them are looked for first, since
// nobody foretells a branch on an index.
template <typename T>
void add_own_rows(const T* updates, const int64_t* indices, T* y, TableShape s, int64_t begin_row, int64_t end_row) {
  constexpr int64_t kLook = 1024;
  int32_t own[kLook];
  for (int64_t first = 0; first < s.count; first += kLook) {
    const int64_t* here = indices + first;
    int64_t count = 0;
    for (int64_t j = 0; j < min_of(kLook, s.count - first); ++j) {
      own[count] = static_cast<int32_t>(j);
      count += (here[j] >= begin_row) & (here[j] < end_row);
    }
    add_rows(updates + first * s.width, here, own, count, y, s.width, 0, s.width);
  }
}

template <typename T>
void add_elements(const T* updates, const int64_t* indices, T* y, int64_t count) {
  for (int64_t j = 0; j < count; ++j) y[indices[j]] += updates[j];
}

// Wide rows are shared out by columns, others by rows, whose owner looks through all indices; narrow ones cost no more
// than that look. However they are shared out, updates are added in the order of the indices.
template <typename T>
void scatter_add_of(const void* from, const int64_t* indices, void* to, TableShape s) {
  const bool alone = s.count * s.width <= kSerialWork || s.width < 8;
  const bool by_columns = !alone && s.width >= 2 * kColumns;
  const int64_t parts = alone        ? 1
                        : by_columns ? min_of(num_threads(), s.width / kColumns)
                                     : min_of(num_threads(), s.rows);
  const int64_t rows_each = ceil_div(s.rows, parts), columns_each = ceil_div(ceil_div(s.width, parts), 16) * 16;
  parallel(0, s.outer * parts, alone ? grain_for(s.count * s.width) : 1, [&](int64_t first, int64_t last) {
    for (int64_t p = first; p < last; ++p) {
      const int64_t o = p / parts, part = p % parts;
      const T* updates = static_cast<const T*>(from) + o * s.count * s.width;
      T* y = static_cast<T*>(to) + o * s.rows * s.width;
      if (s.width == 1) {
        add_elements(updates, indices, y, s.count);
      } else if (alone || by_columns) {
        const int64_t begin = part * columns_each, end = min_of(s.width, begin + columns_each);
        add_rows<T>(updates, indices, nullptr, s.count, y, s.width, min_of(begin, end), end);
      } else {
        add_own_rows(updates, indices, y, s, part * rows_each, min_of(s.rows, (part + 1) * rows_each));
      }
    }
  });
}

void scatter_add(DType dtype, const void* updates, const int64_t* indices, void* y, TableShape s) {
  if (s.outer == 0 || s.rows == 0 || s.count == 0 || s.width == 0) return;
  switch (dtype) {
    case DType::Float32: return scatter_add_of<float>(updates, indices, y, s);
    case DType::Float64: return scatter_add_of<double>(updates, indices, y, s);
    case DType::Int32: return scatter_add_of<uint32_t>(updates, indices, y, s);  // unsigned: wraps, as NumPy
    default: return scatter_add_of<uint64_t>(updates, indices, y, s);
  }
}

template <typename I>
int64_t first_outside_of(const I* given, int64_t count, int64_t lowest, int64_t highest) {
  int64_t outside = 0;  // counted without a branch, so that the loop becomes vectors
  for (int64_t i = 0; i < count; ++i) outside += int64_t(given[i] < lowest) | int64_t(given[i] > highest);
  if (outside == 0) return count;
  int64_t first = 0;
  while (given[first] >= lowest && given[first] <= highest) ++first;
  return first;
}

int64_t first_outside(DType dtype, const void* integers, int64_t count, int64_t lowest, int64_t highest) {
  if (dtype == DType::Int64) return first_outside_of(static_cast<const int64_t*>(integers), count, lowest, highest);
  return first_outside_of(static_cast<const int32_t*>(integers), count, lowest, highest);
}

void wrap(const int64_t* given, int64_t count, int64_t rows, int64_t* wrapped) {
  for (int64_t i = 0; i < count; ++i) wrapped[i] = given[i] < 0 ? given[i] + rows : given[i];
}

}  // namespace

extern const EmbeddingKernels embedding_kernels;
const EmbeddingKernels embedding_kernels = {gather, scatter_add, first_outside, wrap};

}  // namespace RANVIER_ISA
}  // namespace ranvier
