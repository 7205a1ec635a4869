// matmul and dense: products with all transpositions, bias and activation; batches; sums of columns. The loop over
// tiles is that of gemm_tiles.h.
#include "ops/gemm.h"

#include "core/dtype.h"
#include "cuda/activation_math.h"
#include "cuda/gemm_tiles.h"
#include "ops/reduce.h"

namespace ranvier {
namespace RANVIER_GPU {

extern const ReduceKernels reduce_kernels;

namespace {

// A matrix of (rows, p), or of (p, rows) where kTransposed. Matrix i of a batch starts at offsets[i].
template <typename T, bool kAlong>
struct Matrix {
  static constexpr bool kAlongP = kAlong;
  const T* data;
  int64_t stride;
  const int64_t* offsets;  // null: there is one
  __device__ T operator()(int64_t product, int64_t row, int64_t p) const {
    const T* own = offsets == nullptr ? data : data + offsets[product];
    return kAlongP ? own[row * stride + p] : own[p * stride + row];
  }
};

template <typename T>
struct Epilogue {
  T* c;
  int64_t stride;
  const int64_t* offsets;
  const T* bias;
  Activation activation;
  bool accumulate;
  __device__ void operator()(int64_t product, int64_t i, int64_t j, T sum) const {
    T* place = c + (offsets == nullptr ? 0 : offsets[product]) + i * stride + j;
    if (accumulate) sum += *place;
    if (bias != nullptr) sum += bias[j];
    *place = activated(activation, sum);
  }
};

struct Offsets {
  const int64_t *a, *b, *c;
};

template <typename T, bool kTransposeA, bool kTransposeB>
void products(const GemmArguments<T>& g, int64_t count, Offsets at) {
  multiply<T>(ProductSizes{count, g.m, g.n, g.k}, Matrix<T, !kTransposeA>{g.a, g.lda, at.a},
              Matrix<T, kTransposeB>{g.b, g.ldb, at.b},
              Epilogue<T>{g.c, g.ldc, at.c, g.bias, g.activation, g.accumulate});
}

template <typename T>
void run_products(const GemmArguments<T>& g, int64_t count, Offsets at) {
  if (g.transpose_a && g.transpose_b) return products<T, true, true>(g, count, at);
  if (g.transpose_a) return products<T, true, false>(g, count, at);
  if (g.transpose_b) return products<T, false, true>(g, count, at);
  products<T, false, false>(g, count, at);
}

template <typename T>
void gemm(const GemmArguments<T>& product) {
  run_products(product, 1, Offsets{});
}

template <typename T>
void batched(const GemmArguments<T>& product, int64_t count, const int64_t* a_offsets, const int64_t* b_offsets,
             const int64_t* c_offsets) {
  if (count == 0) return;
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(int64_t);
  const Workspace a(a_offsets, bytes), b(b_offsets, bytes), c(c_offsets, bytes);
  run_products(product, count, Offsets{a.as<int64_t>(), b.as<int64_t>(), c.as<int64_t>()});
}

template <typename T>
void column_sums(const T* x, int64_t rows, int64_t columns, T* sums) {
  reduce_kernels.reduce(Reduction::Sum, DTypeOf<T>::value, x, sums, {1, rows, columns});
}

}  // namespace

extern const PerType<GemmKernels> gemm_kernels;
const PerType<GemmKernels> gemm_kernels = {
    {gemm<float>, batched<float>, column_sums<float>},
    {gemm<double>, batched<double>, column_sums<double>},
};

}  // namespace RANVIER_GPU
}  // namespace ranvier
