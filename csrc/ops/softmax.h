// softmax along rows, log_softmax (its logarithm), and their gradients.
//   y[r,c]  = exp(x[r,c] - max_r) / sum_c exp(x[r,c] - max_r)     dx = y * (dy - sum_c dy*y)
//   l[r,c]  = x[r,c] - max_r - log sum_c exp(x[r,c] - max_r)      dx = dl - exp(l) * sum_c dl
// An axis other than the last is read in place: rows with a column stride.
#pragma once

#include <cstdint>

#include "core/per_type.h"

namespace ranvier {

// x viewed as (outer, columns, inner): one row per (outer, inner), its elements `inner` apart.
struct Rows {
  int64_t outer;
  int64_t columns;
  int64_t inner;
};

template <typename T>
struct SoftmaxKernels {
  void (*forward)(const T* x, T* y, Rows rows);
  void (*backward)(const T* y, const T* dy, T* dx, Rows rows);
  void (*log_forward)(const T* x, T* y, Rows rows);
  void (*log_backward)(const T* y, const T* dy, T* dx, Rows rows);
};

}  // namespace ranvier
