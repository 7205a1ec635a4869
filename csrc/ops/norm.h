// batch_norm, batch normalisation over rows: x is (rows, channels), each channel normalised by itself.
//   training   mean_c, var_c = mean and biased variance of x[:, c]; moving <- momentum moving + (1 - momentum) batch
//   inference  mean_c, var_c = the moving ones
//   y = (x - mean) rstd gamma + beta,  rstd = 1 / sqrt(var + epsilon);  with relu, max(y, 0)
//   with relu, dy counts where the sum under it was not <= 0: it is computed again from x, y is not kept
//   dbeta = sum dy,  dgamma = sum dy (x - mean) rstd
//   dx = gamma rstd (dy - (dbeta + (x - mean) rstd dgamma) / rows)   (inference: gamma rstd dy)
#pragma once

#include <cstdint>

#include "core/per_type.h"

namespace ranvier {

struct NormShape {
  int64_t rows;
  int64_t channels;
};

// Sums run over blocks of rows, then over the blocks in order: the shape alone fixes their order.
constexpr int64_t norm_block_rows(int64_t channels) {
  return channels >= 256 ? 64 : 16384 / (channels > 0 ? channels : 1);
}
constexpr int64_t norm_blocks(NormShape shape) {
  const int64_t rows = norm_block_rows(shape.channels);
  return (shape.rows + rows - 1) / rows;
}

template <typename T>
struct MovingStatistics {
  Wide<T>* mean;
  Wide<T>* variance;
  double momentum;
};

// What normalises and scales, in float32 where x has 16 bits: gamma and beta may be null, ones and zeros.
template <typename T>
struct NormScale {
  const Wide<T>* mean;
  const Wide<T>* rstd;
  const Wide<T>* gamma;
  const Wide<T>* beta;
  bool relu;
};

// partials: (blocks, 2, channels).
template <typename T>
struct NormKernels {
  void (*batch_statistics)(const T* x, Wide<T>* partials, Wide<T>* mean, Wide<T>* rstd, MovingStatistics<T> moving,
                           double epsilon, NormShape shape);
  void (*moving_statistics)(MovingStatistics<T> moving, Wide<T>* mean, Wide<T>* rstd, double epsilon, int64_t channels);
  void (*normalise)(const T* x, NormScale<T> by, T* y, NormShape shape);
  void (*parameter_gradients)(const T* x, const T* dy, NormScale<T> by, Wide<T>* partials, Wide<T>* dgamma,
                              Wide<T>* dbeta, NormShape shape);
  // dgamma and dbeta null: statistics that do not depend on x (inference).
  void (*input_gradient)(const T* x, const T* dy, NormScale<T> by, const Wide<T>* dgamma, const Wide<T>* dbeta, T* dx,
                         NormShape shape);
};

}  // namespace ranvier
