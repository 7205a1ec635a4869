// My matrix product: C = op(A) op(B), with what usually follows it. The contract stands in ops/gemm.h of
// `ranvier kernel headers`. This first kernel is right and slow; make it fast, and keep it right:
//   ranvier kernel test .     the op's own spec: every transposition, odd shapes, zero sizes, NaN
//   ranvier kernel bench .    beside Ranvier's and the peers'
#include <cmath>

#include "core/own_kernel.h"
#include "ops/gemm.h"

namespace {

using Product = ranvier::GemmArguments<float>;

// What Ranvier computes where ours does not.
void (*builtin)(const Product& product);

void my_gemm(const Product& p) {
  const bool plain = p.activation.kind == ranvier::ActivationKind::Linear || p.activation.kind == ranvier::ActivationKind::Relu;
  if (!plain) return builtin(p);
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < p.k; ++k) {
        const float a = p.transpose_a ? p.a[k * p.lda + i] : p.a[i * p.lda + k];
        const float b = p.transpose_b ? p.b[j * p.ldb + k] : p.b[k * p.ldb + j];
        sum = std::fma(a, b, sum);
      }
      float& c = p.c[i * p.ldc + j];
      if (p.accumulate) sum += c;
      if (p.bias != nullptr) sum += p.bias[j];
      c = p.activation.kind == ranvier::ActivationKind::Relu && sum < 0 ? 0 : sum;
    }
  }
}

}  // namespace

RANVIER_KERNEL(gemm, ranvier::PerType<ranvier::GemmKernels>) {
  builtin = kernels.f32.gemm;
  kernels.f32.gemm = my_gemm;  // float64 (kernels.f64) stays Ranvier's
}
