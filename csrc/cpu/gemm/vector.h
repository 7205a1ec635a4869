// Products with a vector whose matrix is stored row by row along the sum: dot products, bound by memory.
#pragma once

#include "cpu/simd.h"
#include "ops/activation.h"
#include "ops/gemm.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<ActivationKernels> activation_kernels;

namespace {

// kRows dot products of rows `ld` apart with x. Two chains of vectors for each; the order of a row's sum does
// not depend on how many rows go together.
template <typename T, int kRows>
RANVIER_INLINE void dot_rows(const T* a, int64_t ld, const T* x, int64_t k, T (&sums)[kRows]) {
  Vec<T> acc[kRows][2] = {};
  int64_t p = 0;
  for (; p + 2 * kWidth<T> <= k; p += 2 * kWidth<T>) {
    const Vec<T> x0 = load(x + p), x1 = load(x + p + kWidth<T>);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      acc[i][0] = fma(load(a + i * ld + p), x0, acc[i][0]);
      acc[i][1] = fma(load(a + i * ld + p + kWidth<T>), x1, acc[i][1]);
    }
  }
  for (; p < k; p += kWidth<T>) {
    const int64_t left = min_of(kWidth<T>, k - p);
    const Vec<T> x0 = load_partial(x + p, left);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) acc[i][0] = fma(load_partial(a + i * ld + p, left), x0, acc[i][0]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) sums[i] = sum_lanes<T>(acc[i][0] + acc[i][1]);
}

// What comes of the dot products: element i is c[i * step], its bias bias[i * bias_step].
template <typename T>
struct Dots {
  const T* rows;
  int64_t ld;
  int64_t k;
  const T* x;
  T* c;
  int64_t step;
  const T* bias;
  int64_t bias_step;
  bool accumulate;
  Activation activation;

  template <int kRows>
  void some(int64_t i) const {
    T sums[kRows];
    dot_rows<T, kRows>(rows + i * ld, ld, x, k, sums);
    for (int r = 0; r < kRows; ++r) {
      T* out = c + (i + r) * step;
      T value = accumulate ? *out + sums[r] : sums[r];
      if (bias != nullptr) value += bias[(i + r) * bias_step];
      *out = value;
      if (activation.kind != ActivationKind::Linear) {
        activation_kernels.template get<T>().forward(activation, out, out, 1);
      }
    }
  }

  void run(int64_t begin, int64_t end) const {
    int64_t i = begin;
    for (; i + 4 <= end; i += 4) some<4>(i);
    for (; i < end; ++i) some<1>(i);
  }
};

template <typename T>
const T* gathered(const T* x, int64_t step, int64_t k) {
  if (step == 1) return x;
  T* copy = static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * static_cast<uint64_t>(k)));
  for (int64_t p = 0; p < k; ++p) copy[p] = x[p * step];
  return copy;
}

// True if the product was one of these and is done: A times a column, or a row times a transposed B.
template <typename T>
bool multiply_vector(const GemmArguments<T>& g) {
  Dots<T> dots;
  int64_t count;
  if (g.n == 1 && !g.transpose_a) {
    dots = {g.a, g.lda,        g.k,         gathered(g.b, g.transpose_b ? 1 : g.ldb, g.k), g.c, g.ldc, g.bias,
            0,   g.accumulate, g.activation};
    count = g.m;
  } else if (g.m == 1 && g.transpose_b) {
    dots = {g.b, g.ldb,        g.k,         gathered(g.a, g.transpose_a ? g.lda : 1, g.k), g.c, 1, g.bias,
            1,   g.accumulate, g.activation};
    count = g.n;
  } else {
    return false;
  }
  parallel(0, count, max_of(4, grain_for(g.k / 4)), [&](int64_t begin, int64_t end) { dots.run(begin, end); });
  return true;
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
