#include "ops/embedding.h"

#include "cpu/row.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// embedding and take gather; embedding's gradient and scatter_add add.
template <typename T>
void gather_elements(const T* x, const int64_t* indices, T* y, TableShape s) {
  parallel(0, s.outer, grain_for(s.count), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      for (int64_t j = 0; j < s.count; ++j) y[o * s.count + j] = x[o * s.rows + indices[j]];
    }
  });
}

constexpr int64_t kAhead = 8;  // rows fetched before they are copied: their places follow no order

// Short rows of a length known here: one or two moves each.
template <int kBytes>
void gather_short_rows(const char* x, const int64_t* indices, char* y, TableShape s) {
  parallel(0, s.outer * s.count, grain_for(kBytes / 4), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end;) {
      const int64_t outer = r / s.count, last = min_of(end, (outer + 1) * s.count);
      const char* table = x + outer * s.rows * kBytes;
      for (; r < last; ++r) memcpy(y + r * kBytes, table + indices[r - outer * s.count] * kBytes, kBytes);
    }
  });
}

void gather_rows(const char* x, const int64_t* indices, char* y, TableShape s, int64_t row_bytes) {
  parallel(0, s.outer * s.count, grain_for(row_bytes / 4), [&](int64_t begin, int64_t end) {
    int64_t outer = begin / s.count, j = begin % s.count;
    for (int64_t r = begin; r < end; ++r) {
      if (j + kAhead < s.count) __builtin_prefetch(x + (outer * s.rows + indices[j + kAhead]) * row_bytes);
      const char* from = x + (outer * s.rows + indices[j]) * row_bytes;
      if (row_bytes <= kShortBytes) {
        copy_short(y + r * row_bytes, from, row_bytes);
      } else {
        memcpy(y + r * row_bytes, from, static_cast<size_t>(row_bytes));
      }
      if (++j == s.count) {
        j = 0;
        ++outer;
      }
    }
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
  switch (s.width * item_size) {
    case 8: return gather_short_rows<8>(from, indices, to, s);
    case 16: return gather_short_rows<16>(from, indices, to, s);
    case 32: return gather_short_rows<32>(from, indices, to, s);
    case 64: return gather_short_rows<64>(from, indices, to, s);
    default: return gather_rows(from, indices, to, s, s.width * item_size);
  }
}

constexpr int64_t kColumns = 64;       // a thread's share of wide rows, or more
constexpr int64_t kSerialWork = 8192;  // elements below which one thread does all

// The updates that fall on rows begin_row..end_row, columns begin..end, in the order of the indices.
template <typename T>
void add_rows(const T* updates, const int64_t* indices, T* y, TableShape s, int64_t begin_row, int64_t end_row,
              int64_t begin, int64_t end) {
  const bool wide = s.width >= kColumns;
  for (int64_t j = 0; j < s.count; ++j) {
    if (wide && j + kAhead < s.count && indices[j + kAhead] >= begin_row && indices[j + kAhead] < end_row) {
      const T* later = y + indices[j + kAhead] * s.width + begin;  // the first lines of the part of a row
      for (int64_t i = 0; i < min_of(end - begin, kColumns); i += 64 / int64_t(sizeof(T))) {
        __builtin_prefetch(later + i, 1);
      }
    }
    if (indices[j] < begin_row || indices[j] >= end_row) continue;
    T* __restrict__ to = y + indices[j] * s.width;
    const T* __restrict__ from = updates + j * s.width;
    for (int64_t i = begin; i < end; ++i) to[i] += from[i];
  }
}

template <typename T>
void scatter_add_of(const void* from, const int64_t* indices, void* to, TableShape s) {
  // Narrow rows: each thread looks through all indices for its own. However rows are shared out, the order is theirs.
  const bool small = s.count * s.width <= kSerialWork;
  const int64_t parts = small                     ? 1
                        : s.width >= 2 * kColumns ? min_of(num_threads(), s.width / kColumns)
                                                  : min_of(num_threads(), s.rows);
  const bool by_columns = !small && s.width >= 2 * kColumns;
  const int64_t rows_each = ceil_div(s.rows, parts), columns_each = ceil_div(ceil_div(s.width, parts), 16) * 16;
  parallel(0, s.outer * parts, small ? grain_for(s.count * s.width) : 1, [&](int64_t first, int64_t last) {
    for (int64_t p = first; p < last; ++p) {
      const int64_t o = p / parts, part = p % parts;
      const T* updates = static_cast<const T*>(from) + o * s.count * s.width;
      T* y = static_cast<T*>(to) + o * s.rows * s.width;
      if (by_columns) {
        add_rows(updates, indices, y, s, 0, s.rows, part * columns_each, min_of(s.width, (part + 1) * columns_each));
      } else {
        add_rows(updates, indices, y, s, part * rows_each, min_of(s.rows, (part + 1) * rows_each), 0, s.width);
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
