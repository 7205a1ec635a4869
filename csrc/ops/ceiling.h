// The machine's own limits, for benchmarks to be judged by: a loop of fused multiply-adds that stays in
// registers, and the streaming triad b = a * s + b.
#pragma once

#include <cstdint>

namespace ranvier {

struct CeilingKernels {
  // Runs `rounds` of the FMA loop on every thread; returns the flops done in all.
  double (*fma_loop)(int64_t rounds, int threads);
  // b = a * s + b over n floats; three floats of traffic for each.
  void (*triad)(const float* a, float* b, float s, int64_t n);
};

}  // namespace ranvier
