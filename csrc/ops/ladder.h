// The teaching ladders: for one op several kernels, each one idea faster than the one before, written to be read from
// the first to the last. They compute in float32 and serve readers and `ranvier bench gemm --variants`; the ops
// themselves run the production kernels, which go on from where the ladders end.
//
// They stand in csrc/cpu/ladder/; gemm and conv2d are compiled without automatic vectorisation, so that each step shows
// its own idea and not the compiler's. docs/ tells the story of each with what it gains.
#pragma once

#include <cstdint>

namespace ranvier {

// c (m, n), which comes as zeros, += a (m, k) b (k, n).
using LadderGemm = void (*)(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k);

// y (images, height - window_height + 1, width - window_width + 1, filters), which comes as zeros, += x * kernel:
// x (images, height, width, channels), kernel (window_height, window_width, channels, filters), stride one.
struct LadderImages {
  int64_t images, height, width, channels, window_height, window_width, filters;
};
using LadderConv2d = void (*)(const float* x, const float* kernel, float* y, LadderImages shape);

// y = softmax of each row of x (rows, columns).
using LadderSoftmax = void (*)(const float* x, float* y, int64_t rows, int64_t columns);

// y = relu(gamma * (x - mean) / sqrt(variance + epsilon) + beta), mean and variance of each column of x.
using LadderBatchNorm = void (*)(const float* x, const float* gamma, const float* beta, float epsilon, float* y,
                                 int64_t rows, int64_t channels);

template <typename Run>
struct Ladder {
  struct Step {
    const char* name;
    Run run;
  };
  int count;
  Step steps[8];
};

struct LadderKernels {
  const Ladder<LadderGemm>& gemm;
  const Ladder<LadderConv2d>& conv2d;
  const Ladder<LadderSoftmax>& softmax;
  const Ladder<LadderBatchNorm>& batch_norm;
};

}  // namespace ranvier
