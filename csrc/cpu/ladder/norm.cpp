// The batch norm ladder: y = relu(gamma * (x - mean) / sqrt(variance + epsilon) + beta), statistics of each column of
// x (rows, channels), float32: what a convolutional net in training does after each convolution.
//
// Arithmetic for 32 images of 56 x 56 x 64, (100352, 64): 25.7 MB, and about 8 flops for each element: 51 MFLOP, so
// memory is the limit. The statistics need all of x before the first y is known: two reads and a write, 77 MB, 1.5 ms
// at 50 GB/s. Whatever reads or writes it more often loses. The inner loops run over the channels, and the compiler
// turns them into vectors by itself.
#include "ops/ladder.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const Ladder<LadderBatchNorm> batch_norm_ladder;

namespace {

// Room for `count` values of each channel, between calls.
float* per_channel(int64_t count, int64_t channels) {
  return static_cast<float*>(thread_scratch(kScratchA, sizeof(float) * uint64_t(count * channels)));
}

// 1. Pass by pass, as formulas are written: mean; variance; (x - mean) / deviation; gamma and beta; relu. x or y is
// read five times and written three times: eight times 25.7 MB where three would do.
void pass_by_pass(const float* x, const float* gamma, const float* beta, float epsilon, float* y, int64_t rows,
                  int64_t channels) {
  float* mean = per_channel(2, channels);
  float* variance = mean + channels;
  memset(mean, 0, sizeof(float) * 2 * uint64_t(channels));
  for (int64_t i = 0; i < rows * channels; i += channels) {
    for (int64_t c = 0; c < channels; ++c) mean[c] += x[i + c] / float(rows);
  }
  for (int64_t i = 0; i < rows * channels; i += channels) {
    for (int64_t c = 0; c < channels; ++c) variance[c] += (x[i + c] - mean[c]) * (x[i + c] - mean[c]) / float(rows);
  }
  for (int64_t i = 0; i < rows * channels; i += channels) {
    for (int64_t c = 0; c < channels; ++c) y[i + c] = (x[i + c] - mean[c]) / __builtin_sqrtf(variance[c] + epsilon);
  }
  for (int64_t i = 0; i < rows * channels; i += channels) {
    for (int64_t c = 0; c < channels; ++c) y[i + c] = y[i + c] * gamma[c] + beta[c];
  }
  for (int64_t i = 0; i < rows * channels; ++i) y[i] = scalar_max(y[i], 0.0f);
}

// 2. Statistics in one read: sums of d = x - x[0] and of d * d give both, since variance = mean(d^2) - mean(d)^2.
// Without the shift by the first row the two terms may be nearly equal and large, and the digits of their difference
// are lost (Chan, Golub and LeVeque 1983). Four passes are left of five.
void shifted_sums(const float* x, const float* shift, float* sums, float* squares, int64_t rows, int64_t channels) {
  memset(sums, 0, sizeof(float) * uint64_t(channels));
  memset(squares, 0, sizeof(float) * uint64_t(channels));
  for (int64_t i = 0; i < rows * channels; i += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      const float d = x[i + c] - shift[c];
      sums[c] += d;
      squares[c] += d * d;
    }
  }
}

// gamma * (x - mean) / deviation + beta is x * scale + offset, with two numbers per channel: the division and the root
// leave the loop.
void fold(const float* shift, const float* gamma, const float* beta, float epsilon, const float* sums,
          const float* squares, float* scale, float* offset, int64_t rows, int64_t channels) {
  for (int64_t c = 0; c < channels; ++c) {
    const float d = sums[c] / float(rows);
    const float variance = scalar_max(squares[c] / float(rows) - d * d, 0.0f);
    scale[c] = gamma[c] / __builtin_sqrtf(variance + epsilon);
    offset[c] = beta[c] - (shift[c] + d) * scale[c];
  }
}

void one_read_for_statistics(const float* x, const float* gamma, const float* beta, float epsilon, float* y,
                             int64_t rows, int64_t channels) {
  float* sums = per_channel(4, channels);
  float *squares = sums + channels, *scale = squares + channels, *offset = scale + channels;
  shifted_sums(x, x, sums, squares, rows, channels);
  fold(x, gamma, beta, epsilon, sums, squares, scale, offset, rows, channels);
  for (int64_t i = 0; i < rows * channels; i += channels) {
    for (int64_t c = 0; c < channels; ++c) y[i + c] = x[i + c] * scale[c] + offset[c];
  }
  for (int64_t i = 0; i < rows * channels; ++i) y[i] = scalar_max(y[i], 0.0f);
}

// 3. Fused: the relu is applied while the number is still in a register. Two reads and one write: all that is needed.
void fused(const float* x, const float* gamma, const float* beta, float epsilon, float* y, int64_t rows,
           int64_t channels) {
  float* sums = per_channel(4, channels);
  float *squares = sums + channels, *scale = squares + channels, *offset = scale + channels;
  shifted_sums(x, x, sums, squares, rows, channels);
  fold(x, gamma, beta, epsilon, sums, squares, scale, offset, rows, channels);
  for (int64_t i = 0; i < rows * channels; i += channels) {
    for (int64_t c = 0; c < channels; ++c) y[i + c] = scalar_max(x[i + c] * scale[c] + offset[c], 0.0f);
  }
}

// 4. Threads: blocks of 256 rows are shared out. Each has a place of its own for its sums, and these are added in the
// order of the blocks: the result is the same on any number of threads. (It is also more exact: short sums round less.)
void threads(const float* x, const float* gamma, const float* beta, float epsilon, float* y, int64_t rows,
             int64_t channels) {
  constexpr int64_t kBlock = 256;
  const int64_t count = ceil_div(rows, kBlock), grain = grain_for(kBlock * channels);
  float* scale = per_channel(2 + 2 * count, channels);
  float *offset = scale + channels, *parts = offset + channels;  // parts: sums and squares of each block
  parallel(0, count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* part = parts + 2 * i * channels;
      shifted_sums(x + i * kBlock * channels, x, part, part + channels, min_of(kBlock, rows - i * kBlock), channels);
    }
  });
  for (int64_t i = 1; i < count; ++i) {
    for (int64_t c = 0; c < 2 * channels; ++c) parts[c] += parts[2 * i * channels + c];
  }
  fold(x, gamma, beta, epsilon, parts, parts + channels, scale, offset, rows, channels);
  parallel(0, count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * kBlock * channels; i < min_of(end * kBlock, rows) * channels; i += channels) {
      for (int64_t c = 0; c < channels; ++c) y[i + c] = scalar_max(x[i + c] * scale[c] + offset[c], 0.0f);
    }
  });
}

}  // namespace

const Ladder<LadderBatchNorm> batch_norm_ladder = {4,
                                                   {{"pass by pass", pass_by_pass},
                                                    {"one read for statistics", one_read_for_statistics},
                                                    {"fused", fused},
                                                    {"threads", threads}}};

}  // namespace RANVIER_ISA
}  // namespace ranvier
