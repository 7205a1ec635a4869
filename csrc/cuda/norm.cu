// batch_norm, channels last: lanes along the channels, so that every read is of neighbours.
//
// Statistics by blocks of rows (ops/norm.h fixes their length): mean and sum of squared deviations of each, by
// Welford's recurrence (1962), which reads x once and never subtracts squares; then Chan's merge (1979) of the blocks
// in order, in float64.
#include "ops/norm.h"

#include "cuda/half.h"
#include "cuda/launch.h"
#include "cuda/numbers.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// What each thread needs: a block of rows and a channel.
struct Column {
  int64_t block, channel, begin, end;
};
__device__ Column column_of(int64_t t, NormShape shape) {
  const int64_t rows = norm_block_rows(shape.channels), block = t / shape.channels, begin = block * rows;
  return {block, t % shape.channels, begin, begin + rows < shape.rows ? begin + rows : shape.rows};
}

template <typename T>
__global__ void block_moments(const T* x, Wide<T>* partials, NormShape shape, int64_t count) {
  for (int64_t t = grid_thread(); t < count; t += grid_threads()) {
    const Column own = column_of(t, shape);
    double mean = 0, squares = 0;
    for (int64_t r = own.begin; r < own.end; ++r) {
      const double value = wide(x[r * shape.channels + own.channel]), share = 1.0 / double(r - own.begin + 1);
      const double delta = value - mean;
      mean = mean * (1 - share) + value * share;  // not mean + delta * share: Inf stays Inf
      squares += delta * (value - mean);
    }
    Wide<T>* block = partials + own.block * 2 * shape.channels;
    block[own.channel] = Wide<T>(mean);
    block[shape.channels + own.channel] = Wide<T>(squares);
  }
}

template <typename T>
__global__ void merge_blocks(const Wide<T>* x_partials, Wide<T>* mean_out, Wide<T>* rstd, MovingStatistics<T> moving,
                             double epsilon, NormShape shape) {
  const int64_t block_rows = norm_block_rows(shape.channels);
  for (int64_t c = grid_thread(); c < shape.channels; c += grid_threads()) {
    double mean = 0, squares = 0;
    for (int64_t b = 0; b < norm_blocks(shape); ++b) {
      const int64_t rest = shape.rows - b * block_rows;
      const double n = double(b * block_rows), m = double(rest < block_rows ? rest : block_rows), share = m / (n + m);
      const double other = x_partials[b * 2 * shape.channels + c], delta = other - mean;
      mean = mean * (1 - share) + other * share;
      squares += double(x_partials[(b * 2 + 1) * shape.channels + c]) + delta * delta * (n * share);
    }
    const double variance = shape.rows > 0 ? squares / double(shape.rows) : 0;
    mean_out[c] = Wide<T>(mean);
    rstd[c] = Wide<T>(1 / sqrt(variance + epsilon));
    if (shape.rows == 0) continue;  // an empty batch says nothing
    const double keep = moving.momentum, take = 1 - keep;
    moving.mean[c] = Wide<T>(double(moving.mean[c]) * keep + mean * take);
    moving.variance[c] = Wide<T>(double(moving.variance[c]) * keep + variance * take);
  }
}

template <typename T>
__global__ void from_moving(MovingStatistics<T> moving, Wide<T>* mean, Wide<T>* rstd, double epsilon,
                            int64_t channels) {
  for (int64_t c = grid_thread(); c < channels; c += grid_threads()) {
    mean[c] = moving.mean[c];
    rstd[c] = Wide<T>(1 / sqrt(double(moving.variance[c]) + epsilon));
  }
}

template <typename T>
__device__ Wide<T> scale_of(const NormScale<T>& by, int64_t c) {
  return by.gamma == nullptr ? by.rstd[c] : by.rstd[c] * by.gamma[c];
}

template <typename T>
__device__ Wide<T> output(const NormScale<T>& by, Wide<T> x, int64_t c) {
  return fma(x - by.mean[c], scale_of(by, c), by.beta == nullptr ? Wide<T>(0) : by.beta[c]);
}

// dy where relu let the sum pass, which is computed as the forward pass did, to the last bit. A NaN passes.
template <typename T>
__device__ Wide<T> through_relu(const NormScale<T>& by, Wide<T> x, Wide<T> dy, int64_t c) {
  return by.relu && output(by, x, c) <= 0 ? Wide<T>(0) : dy;
}

template <typename T>
__global__ void write_output(const T* x, NormScale<T> by, T* y, NormShape shape) {
  for (int64_t i = grid_thread(); i < shape.rows * shape.channels; i += grid_threads()) {
    const Wide<T> sum = output(by, wide(x[i]), i % shape.channels);
    y[i] = rounded<T>(by.relu ? larger(sum, Wide<T>(0)) : sum);
  }
}

template <typename T>
__global__ void block_gradients(const T* x, const T* dy, NormScale<T> by, Wide<T>* partials, NormShape shape,
                                int64_t count) {
  for (int64_t t = grid_thread(); t < count; t += grid_threads()) {
    const Column own = column_of(t, shape);
    double along = 0, plain = 0;
    for (int64_t r = own.begin; r < own.end; ++r) {
      const int64_t i = r * shape.channels + own.channel;
      const Wide<T> value = wide(x[i]), slope = through_relu(by, value, wide(dy[i]), own.channel);
      along += double(slope) * double(value - by.mean[own.channel]);
      plain += double(slope);
    }
    Wide<T>* block = partials + own.block * 2 * shape.channels;
    block[own.channel] = Wide<T>(along);
    block[shape.channels + own.channel] = Wide<T>(plain);
  }
}

template <typename T>
__global__ void merge_gradients(const Wide<T>* partials, NormScale<T> by, Wide<T>* dgamma, Wide<T>* dbeta,
                                NormShape shape) {
  for (int64_t c = grid_thread(); c < shape.channels; c += grid_threads()) {
    double along = 0, plain = 0;
    for (int64_t b = 0; b < norm_blocks(shape); ++b) {
      along += double(partials[b * 2 * shape.channels + c]);
      plain += double(partials[(b * 2 + 1) * shape.channels + c]);
    }
    dgamma[c] = Wide<T>(along * double(by.rstd[c]));
    dbeta[c] = Wide<T>(plain);
  }
}

// Training: dx = a dy - (b (x - mean) + c), with a = gamma rstd, b = a rstd dgamma / rows, c = a dbeta / rows;
// inference, where the statistics do not follow from x (dgamma null): a dy.
template <typename T>
__global__ void write_input_gradient(const T* x, const T* dy, NormScale<T> by, const Wide<T>* dgamma,
                                     const Wide<T>* dbeta, T* dx, NormShape shape) {
  using W = Wide<T>;
  const double rows = double(shape.rows);
  for (int64_t i = grid_thread(); i < shape.rows * shape.channels; i += grid_threads()) {
    const int64_t c = i % shape.channels;
    const W value = wide(x[i]), gradient = through_relu(by, value, wide(dy[i]), c), scale = scale_of(by, c);
    if (dgamma == nullptr) {
      dx[i] = rounded<T>(gradient * scale);
      continue;
    }
    const W b = W(double(scale) * by.rstd[c] * dgamma[c] / rows), constant = W(double(scale) * dbeta[c] / rows);
    dx[i] = rounded<T>(fma(gradient, scale, -fma(value - by.mean[c], b, constant)));
  }
}

template <typename T>
void batch_statistics(const T* x, Wide<T>* partials, Wide<T>* mean, Wide<T>* rstd, MovingStatistics<T> moving,
                      double epsilon, NormShape shape) {
  if (shape.channels == 0) return;
  const int64_t count = norm_blocks(shape) * shape.channels;
  if (count > 0) {
    launch<block_moments<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), x, partials, shape, count);
  }
  launch<merge_blocks<T>>(grid_for(shape.channels), dim3(kThreads), 0, current_stream(),
                          static_cast<const Wide<T>*>(partials), mean, rstd, moving, epsilon, shape);
}

template <typename T>
void moving_statistics(MovingStatistics<T> moving, Wide<T>* mean, Wide<T>* rstd, double epsilon, int64_t channels) {
  if (channels == 0) return;
  launch<from_moving<T>>(grid_for(channels), dim3(kThreads), 0, current_stream(), moving, mean, rstd, epsilon,
                         channels);
}

template <typename T>
void normalise(const T* x, NormScale<T> by, T* y, NormShape shape) {
  const int64_t n = shape.rows * shape.channels;
  if (n > 0) launch<write_output<T>>(grid_for(n), dim3(kThreads), 0, current_stream(), x, by, y, shape);
}

template <typename T>
void parameter_gradients(const T* x, const T* dy, NormScale<T> by, Wide<T>* partials, Wide<T>* dgamma, Wide<T>* dbeta,
                         NormShape shape) {
  if (shape.channels == 0) return;
  const int64_t count = norm_blocks(shape) * shape.channels;
  if (count > 0) {
    launch<block_gradients<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), x, dy, by, partials, shape, count);
  }
  launch<merge_gradients<T>>(grid_for(shape.channels), dim3(kThreads), 0, current_stream(),
                             static_cast<const Wide<T>*>(partials), by, dgamma, dbeta, shape);
}

template <typename T>
void input_gradient(const T* x, const T* dy, NormScale<T> by, const Wide<T>* dgamma, const Wide<T>* dbeta, T* dx,
                    NormShape shape) {
  const int64_t n = shape.rows * shape.channels;
  if (n == 0) return;
  launch<write_input_gradient<T>>(grid_for(n), dim3(kThreads), 0, current_stream(), x, dy, by, dgamma, dbeta, dx,
                                  shape);
}

template <typename T>
constexpr NormKernels<T> kKernels = {batch_statistics<T>, moving_statistics<T>, normalise<T>, parameter_gradients<T>,
                                     input_gradient<T>};

}  // namespace

extern const PerType<NormKernels> norm_kernels;
const PerType<NormKernels> norm_kernels = {kKernels<float>, kKernels<double>, kKernels<Float16>, kKernels<BFloat16>};

}  // namespace RANVIER_GPU
}  // namespace ranvier
