// What the kernels over rows of scores share: a row's maximum, and the sum of its exponentials.
#pragma once

#include <math.h>

#include "cpu/simd.h"
#include "cpu/simd_math.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// NaN if there is one in the row; -Inf for an empty row.
template <typename T>
T row_max(const T* x, int64_t n) {
  Vec<T> best = broadcast<T>(-INFINITY);
  int64_t i = 0;
  for (; i + kWidth<T> <= n; i += kWidth<T>) best = max(best, load(x + i));
  T peak = max_lanes<T>(best);
  for (; i < n; ++i) peak = scalar_max(peak, x[i]);
  return peak;
}

// The first n lanes of v; the others become zero.
template <typename T>
RANVIER_INLINE Vec<T> first_lanes(Vec<T> v, int64_t n) {
  if (n >= kWidth<T>) return v;
  T lanes[kWidth<T>] = {};
  store_partial(lanes, v, n);
  return load(lanes);
}

// The sum of exp(x - peak), which kKeep leaves in y. Its order depends on n and the vector width alone.
template <typename T, bool kKeep>
T exp_and_sum(const T* x, T* y, T peak, int64_t n) {
  Vec<T> total{};
  int64_t i = 0;
  for (; i + kWidth<T> <= n; i += kWidth<T>) {
    const Vec<T> e = exp(load(x + i) - broadcast(peak));
    if (kKeep) store(y + i, e);
    total += e;
  }
  if (i < n) {
    const Vec<T> e = exp(load_partial(x + i, n - i) - broadcast(peak));
    if (kKeep) store_partial(y + i, e, n - i);
    total += first_lanes<T>(e, n - i);
  }
  return sum_lanes<T>(total);
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
