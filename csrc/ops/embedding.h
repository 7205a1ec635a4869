// Rows of a table by their numbers, and the sums of what falls on each row.
//   gather       y[o, j, :]            = x[o, indices[j], :]
//   scatter_add  y[o, indices[j], :]  += updates[o, j, :]    for j = 0, 1, ... in that order
// Embedding and its gradient are these with outer = 1; take and scatter_add have the general form.
#pragma once

#include <cstdint>
#include <optional>

#include "core/array.h"

namespace ranvier {

// A table (outer, rows, width) and `count` row numbers.
struct TableShape {
  int64_t outer;
  int64_t rows;
  int64_t count;
  int64_t width;
};

struct EmbeddingKernels {
  void (*gather)(const void* x, const int64_t* indices, void* y, TableShape shape, int64_t item_size);
  // No atomics: each thread owns rows or columns of y, so the order of every sum is that of the indices.
  void (*scatter_add)(DType dtype, const void* updates, const int64_t* indices, void* y, TableShape shape);
  // The position of the first integer (int32 or int64) outside lowest..highest; `count` where there is none. One number
  // for the host, the only one that it waits for.
  int64_t (*first_outside)(DType dtype, const void* integers, int64_t count, int64_t lowest, int64_t highest);
  void (*wrap)(const int64_t* given, int64_t count, int64_t rows,
               int64_t* wrapped);  // negative ones count from the end
};

// The first of an array's integers outside lowest..highest. For bodies of run(): it is part of the step, so that a
// replayed one checks its indices too.
struct Outsider {
  int64_t position, value;
};
std::optional<Outsider> find_outsider(const char* op, const Array& integers, int64_t lowest, int64_t highest);

// What take and scatter_add share with embedding (csrc/ops/embedding.cpp).
Array as_int64(const Array& indices);
// int64 row numbers, each within 0..rows-1, or ValueError naming the first that is not; `wrap` lets negative
// ones count from the end.
Array row_numbers(const char* op, const Array& indices, int64_t rows, bool wrap);
TableShape table_shape(const Shape& shape, int axis, int64_t count);
void gather_rows(const char* op, const Array& x, const Array& rows, Array& y, TableShape shape);
void add_rows(const char* op, const Array& updates, const Array& rows, Array& y, TableShape shape);

}  // namespace ranvier
