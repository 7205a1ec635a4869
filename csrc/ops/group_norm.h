// group_norm, normalisation of each sample by itself: x is (samples, positions, channels), the channels of a sample cut
// into groups of D, each group normalised over its positions and channels, M = positions D numbers.
//   layer norm     positions = 1, one group          instance norm     as many groups as channels
//   mean_ng, var_ng = mean and biased variance of x[n, :, g D .. (g + 1) D];   rstd = 1 / sqrt(var + epsilon)
//   y = xhat gamma_c + beta_c,  xhat = (x - mean) rstd
//   dbeta_c = sum_np dy,  dgamma_c = sum_np dy xhat
//   dx = rstd (gamma dy - (sum_g gamma dy + xhat sum_g gamma dy xhat) / M)
#pragma once

#include <cstdint>

#include "core/per_type.h"

namespace ranvier {

struct GroupShape {
  int64_t samples;
  int64_t positions;
  int64_t channels;
  int64_t groups;
};

// The sums over samples run over these many chunks of them, then over the chunks in order: the shape alone fixes their
// order.
constexpr int64_t group_norm_chunks(int64_t samples) { return samples < 64 ? samples : 64; }

// What normalises and scales: mean and rstd are (samples, groups); gamma and beta may be null, ones and zeros.
template <typename T>
struct GroupScale {
  Wide<T>* mean;
  Wide<T>* rstd;
  const Wide<T>* gamma;
  const Wide<T>* beta;
};

// dx may be null, or dgamma and dbeta both; partials: (chunks, 2, channels).
template <typename T>
struct GroupGradients {
  T* dx;
  Wide<T>* dgamma;
  Wide<T>* dbeta;
  Wide<T>* partials;
};

template <typename T>
struct GroupNormKernels {
  void (*forward)(const T* x, GroupScale<T> by, T* y, double epsilon, GroupShape shape);  // finds mean and rstd
  void (*gradients)(const T* x, const T* dy, GroupScale<T> by, GroupGradients<T> out, GroupShape shape);
};

}  // namespace ranvier
