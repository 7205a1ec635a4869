// Losses per sample, and their gradients with respect to the predictions.
//   softmax_cross_entropy  l_r = -sum_c t[r,c] log softmax(z_r)[c]        dz = dl_r (p * sum_c t - t)
//   sigmoid_cross_entropy  l   = max(z,0) - z t + log(1 + exp(-|z|))      dz = dl (sigmoid(z) - t)
//   regression             l_r = 1/C sum_c f(y[r,c] - t[r,c])             dy = dl_r / C * f'(y - t)
//     with f(e) = e^2 (mean_squared_error), |e| (mean_absolute_error), or e^2/2 up to delta and
//     delta |e| - delta^2/2 beyond (huber)
#pragma once

#include <cstdint>

#include "core/per_type.h"

namespace ranvier {

struct LossShape {
  int64_t rows;
  int64_t columns;
};

// Targets of a softmax: a class per row (in one of two widths), or a weight per class. One pointer is set.
template <typename T>
struct ClassLabels {
  const int32_t* narrow;
  const int64_t* wide;
  const T* weights;
  double smoothing;  // t = (1 - smoothing) t + smoothing / columns
};

enum class Regression { Squared, Absolute, Huber };

template <typename T>
struct LossKernels {
  // statistics: per row the largest logit and the log of the sum of exp(logit - largest).
  void (*softmax_forward)(ClassLabels<T> labels, const T* logits, T* losses, T* statistics, LossShape shape);
  void (*softmax_backward)(ClassLabels<T> labels, const T* logits, const T* statistics, const T* dy, T* dlogits,
                           LossShape shape);
  void (*sigmoid_forward)(const T* labels, const T* logits, T* losses, int64_t count);
  void (*sigmoid_backward)(const T* labels, const T* logits, const T* dy, T* dlogits, int64_t count);
  void (*regression_forward)(Regression kind, double delta, const T* labels, const T* predictions, T* losses,
                             LossShape shape);
  void (*regression_backward)(Regression kind, double delta, const T* labels, const T* predictions, const T* dy,
                              T* dpredictions, LossShape shape);
};

}  // namespace ranvier
