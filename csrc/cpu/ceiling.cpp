#include "ops/ceiling.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Enough independent chains to hide the latency of two FMA units (4 cycles x 2 units, doubled).
constexpr int kChains = 16;

double fma_loop(int64_t rounds, int threads) {
  parallel(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      Vec<float> chains[kChains];
      for (int i = 0; i < kChains; ++i) chains[i] = broadcast(1.0f + 0.001f * float(i));
      const Vec<float> factor = broadcast(0.999f), addend = broadcast(0.001f);
      for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
        for (int i = 0; i < kChains; ++i) chains[i] = fma(chains[i], factor, addend);
      }
      for (int i = 0; i < kChains; ++i) asm volatile("" ::"m"(chains[i]));  // the results are wanted
    }
  });
  return 2.0 * kChains * kWidth<float> * double(rounds) * threads;
}

void triad(const float* a, float* b, float s, int64_t n) {
  parallel(0, n, int64_t{1} << 16, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + kWidth<float> <= end; i += kWidth<float>) store(b + i, fma(load(a + i), broadcast(s), load(b + i)));
    for (; i < end; ++i) b[i] = a[i] * s + b[i];
  });
}

}  // namespace

extern const CeilingKernels ceiling_kernels;
const CeilingKernels ceiling_kernels = {fma_loop, triad};

}  // namespace RANVIER_ISA
}  // namespace ranvier
