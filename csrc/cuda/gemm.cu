// matmul and dense: products with all transpositions, bias and activation; batches; sums of columns. The loop over
// tiles is that of gemm_tiles.h, for 16-bit floats of core_tiles.h.
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
  bool eights;             // rows consist of groups of 8 values that begin at multiples of 16 bytes
  __device__ const T* at(int64_t product, int64_t row, int64_t p) const {
    const T* own = offsets == nullptr ? data : data + offsets[product];
    return own + (kAlongP ? row * stride + p : p * stride + row);
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
  __device__ void operator()(int64_t product, int64_t i, int64_t j, Wide<T> sum) const {
    T* place = c + (offsets == nullptr ? 0 : offsets[product]) + i * stride + j;
    if (accumulate) sum += wide(*place);
    if (bias != nullptr) sum += wide(bias[j]);
    *place = rounded<T>(activated(activation, sum));
  }
};

struct Offsets {
  const int64_t *a, *b, *c;
  bool eights;  // the offsets of a and b are multiples of 8
};

template <typename T>
bool in_eights(const T* data, int64_t stride, int64_t columns) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && stride % kEight == 0 && columns % kEight == 0;
}

template <typename T, bool kTransposeA, bool kTransposeB>
void products(const GemmArguments<T>& g, int64_t count, Offsets at) {
  const bool a_eights = at.eights && in_eights(g.a, g.lda, kTransposeA ? g.m : g.k);
  const bool b_eights = at.eights && in_eights(g.b, g.ldb, kTransposeB ? g.k : g.n);
  multiply<T>(ProductSizes{count, g.m, g.n, g.k}, Matrix<T, !kTransposeA>{g.a, g.lda, at.a, a_eights},
              Matrix<T, kTransposeB>{g.b, g.ldb, at.b, b_eights},
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
  run_products(product, 1, Offsets{nullptr, nullptr, nullptr, true});
}

template <typename T>
void batched(const GemmArguments<T>& product, int64_t count, const int64_t* a_offsets, const int64_t* b_offsets,
             const int64_t* c_offsets) {
  if (count == 0) return;
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(int64_t);
  const Workspace a(a_offsets, bytes), b(b_offsets, bytes), c(c_offsets, bytes);
  bool eights = true;
  for (int64_t i = 0; i < count; ++i) eights = eights && a_offsets[i] % kEight == 0 && b_offsets[i] % kEight == 0;
  run_products(product, count, Offsets{a.as<int64_t>(), b.as<int64_t>(), c.as<int64_t>(), eights});
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
    {gemm<Float16>, batched<Float16>, column_sums<Float16>},
    {gemm<BFloat16>, batched<BFloat16>, column_sums<BFloat16>},
};

}  // namespace RANVIER_GPU
}  // namespace ranvier
