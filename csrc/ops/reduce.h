// Reductions over any axes: sum, prod, max, min, mean, norm, mean of squares; argmax and argmin; logsumexp;
// any and all.
//
// The order of a floating sum follows from the shape and the vector width alone: blocks are summed in a few
// chains of vectors and combined as a balanced tree, so the error of n terms stays under
// gamma(128 + log2 n) * sum |x|, and neither the number of threads nor the chunks they take change a bit.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "ops/softmax.h"  // Rows

namespace ranvier {

enum class Reduction : uint8_t { Sum, Prod, Max, Min, Squares };  // Squares: the sum of them, of floats

struct ReduceKernels {
  // x (outer, columns, inner) -> y (outer, inner). Integer and bool sums and products give int64.
  void (*reduce)(Reduction reduction, DType dtype, const void* x, void* y, Rows rows);
  // argmax, argmin: the first position of the largest or smallest element; a NaN is both.
  void (*argument)(bool largest, DType dtype, const void* x, int32_t* y, Rows rows);
  // log sum exp over contiguous rows: x (outer, columns) -> y (outer).
  void (*logsumexp)(DType dtype, const void* x, void* y, Rows rows);
  void (*mean_of_sum)(DType dtype, void* y, int64_t count, double terms);  // in place, y / terms
  void (*root)(DType dtype, void* y, int64_t count);                       // in place, sqrt(y)
  // whether any (all) of the elements are not 0: x (outer, columns, inner) -> y (outer, inner).
  void (*truth)(bool all, DType dtype, const void* x, bool* y, Rows rows);
};

}  // namespace ranvier
