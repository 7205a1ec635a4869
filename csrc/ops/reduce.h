// Reductions over any axes: sum, product, maximum, minimum, the position of an extreme, log-sum-exp.
//
// The order of a floating sum follows from the shape and the vector width alone: blocks are summed in a few
// chains of vectors and combined as a balanced tree, so the error of n terms stays under
// gamma(128 + log2 n) * sum |x|, and neither the number of threads nor the chunks they take change a bit.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "ops/softmax.h"  // Rows

namespace ranvier {

enum class Reduction : uint8_t { Sum, Product, Maximum, Minimum };

struct ReduceKernels {
  // x (outer, columns, inner) -> y (outer, inner). Integer and bool sums and products give int64.
  void (*reduce)(Reduction reduction, DType dtype, const void* x, void* y, Rows rows);
  // The first position of the largest or smallest element; a NaN is both.
  void (*argument)(bool largest, DType dtype, const void* x, int32_t* y, Rows rows);
  // log sum exp over contiguous rows: x (outer, columns) -> y (outer).
  void (*logsumexp)(DType dtype, const void* x, void* y, Rows rows);
  void (*divide)(DType dtype, void* y, int64_t count, double divisor);  // in place: a sum becomes a mean
};

}  // namespace ranvier
