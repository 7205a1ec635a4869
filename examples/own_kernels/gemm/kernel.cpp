// A matrix product from outside the tree, in sixty lines: 6 rows x 2 vectors of sums stay in registers, operands are
// packed so that the inner loop reads memory in one straight line (Goto and van de Geijn 2008).
//   ranvier kernel test examples/own_kernels/gemm
//   ranvier kernel bench examples/own_kernels/gemm
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/own_kernel.h"
#include "ops/gemm.h"

namespace {

using Product = ranvier::GemmArguments<float>;
typedef float Vector __attribute__((vector_size(64)));  // 16 floats; the compiler splits it where vectors are shorter
constexpr int64_t kRows = 6, kLanes = 16, kColumns = 2 * kLanes, kDepth = 256;

void (*builtin)(const Product& product);

// Rows i.. and columns j.. of A and B as strips: A[k][row], B[k][column], zeros beyond the edges.
void pack(const Product& p, int64_t k0, int64_t depth, int64_t i, int64_t rows, float* strip) {
  for (int64_t k = 0; k < depth; ++k) {
    for (int64_t r = 0; r < kRows; ++r) {
      const int64_t at = p.transpose_a ? (k0 + k) * p.lda + i + r : (i + r) * p.lda + k0 + k;
      strip[k * kRows + r] = r < rows ? p.a[at] : 0;
    }
  }
}

void pack_columns(const Product& p, int64_t k0, int64_t depth, int64_t j, int64_t columns, float* strip) {
  for (int64_t k = 0; k < depth; ++k) {
    for (int64_t c = 0; c < kColumns; ++c) {
      const int64_t at = p.transpose_b ? (j + c) * p.ldb + k0 + k : (k0 + k) * p.ldb + j + c;
      strip[k * kColumns + c] = c < columns ? p.b[at] : 0;
    }
  }
}

void tile(const float* a, const float* b, int64_t depth, float* sums) {
  Vector acc[kRows][2] = {};
  for (int64_t k = 0; k < depth; ++k, a += kRows, b += kColumns) {
    Vector left, right;
    std::memcpy(&left, b, sizeof(left));
    std::memcpy(&right, b + kLanes, sizeof(right));
    for (int r = 0; r < kRows; ++r) {
      acc[r][0] += a[r] * left;
      acc[r][1] += a[r] * right;
    }
  }
  std::memcpy(sums, acc, sizeof(acc));
}

void add(const Product& p, int64_t i, int64_t rows, int64_t j, int64_t columns, bool first, const float* sums) {
  for (int64_t r = 0; r < rows; ++r) {
    float* c = p.c + (i + r) * p.ldc + j;
    for (int64_t n = 0; n < columns; ++n) c[n] = (first ? 0 : c[n]) + sums[r * kColumns + n];
  }
}

void my_gemm(const Product& p) {
  if (p.activation.kind != ranvier::ActivationKind::Linear || p.k == 0) return builtin(p);
  std::vector<float> a(kDepth * kRows), b((p.n + kColumns - 1) / kColumns * kColumns * kDepth);
  float sums[kRows * kColumns];
  for (int64_t k0 = 0; k0 < p.k; k0 += kDepth) {
    const int64_t depth = std::min(kDepth, p.k - k0);
    for (int64_t j = 0; j < p.n; j += kColumns) {
      pack_columns(p, k0, depth, j, std::min(kColumns, p.n - j), b.data() + j * kDepth);
    }
    for (int64_t i = 0; i < p.m; i += kRows) {
      const int64_t rows = std::min(kRows, p.m - i);
      pack(p, k0, depth, i, rows, a.data());
      for (int64_t j = 0; j < p.n; j += kColumns) {
        tile(a.data(), b.data() + j * kDepth, depth, sums);
        add(p, i, rows, j, std::min(kColumns, p.n - j), k0 == 0 && !p.accumulate, sums);
      }
    }
  }
  for (int64_t i = 0; p.bias != nullptr && i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) p.c[i * p.ldc + j] += p.bias[j];
  }
}

}  // namespace

RANVIER_KERNEL(gemm, ranvier::PerType<ranvier::GemmKernels>) {
  builtin = kernels.f32.gemm;
  kernels.f32.gemm = my_gemm;
}
