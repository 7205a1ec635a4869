// Matrix products: C = op(A) op(B), with what usually follows one fused into the last write of C. matmul is the
// bare product (or a batch of them), dense adds bias and activation.
//
// Other kernels (recurrent, convolution) call these as well. Inside parallel_for a product runs
// serially on the calling thread. It uses the scratch slots kScratchA, kScratchB and kScratchC.
#pragma once

#include <cstdint>

#include "core/per_type.h"
#include "ops/activation.h"

namespace ranvier {

// c (m, n) = op(a) (m, k) times op(b) (k, n), or added to c; then + bias along n; then the activation.
// Row-major: lda, ldb, ldc are the distances between rows as stored; a transposed a is stored (k, m).
template <typename T>
struct GemmArguments {
  bool transpose_a = false;
  bool transpose_b = false;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  const T* a = nullptr;
  int64_t lda = 0;
  const T* b = nullptr;
  int64_t ldb = 0;
  T* c = nullptr;
  int64_t ldc = 0;
  bool accumulate = false;  // add to c; otherwise c is never read
  const T* bias = nullptr;  // n values, or none
  Activation activation = {ActivationKind::Linear, 0};
};

template <typename T>
struct GemmKernels {
  void (*gemm)(const GemmArguments<T>& product);
  // `count` products of one shape; matrix i starts at a + a_offsets[i], and so on. The c's are disjoint.
  void (*batched)(const GemmArguments<T>& product, int64_t count, const int64_t* a_offsets, const int64_t* b_offsets,
                  const int64_t* c_offsets);
  // sums (columns) of x (rows, columns) over its rows: the gradient of a bias.
  void (*column_sums)(const T* x, int64_t rows, int64_t columns, T* sums);
};

}  // namespace ranvier
