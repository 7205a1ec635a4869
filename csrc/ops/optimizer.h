// Optimizer steps over lists of tensors, in place, in one pass over chunks of all of them.
//   g <- clip(g);  p <- p - p * learning_rate * weight_decay;  then, per element (Keras 3's forms):
//   sgd_step       v <- momentum v - lr g;  p += v  (nesterov: p += momentum v - lr g);  without momentum p -= lr g
//   adagrad_step   s <- s + g^2;  p -= lr g / sqrt(s + eps)
//   adadelta_step  s <- rho s + (1-rho) g^2;  d = -sqrt(u + eps) / sqrt(s + eps) g;  u <- rho u + (1-rho) d^2
//                  p += lr d
//   rmsprop_step   s <- rho s + (1-rho) g^2;  centred: a <- rho a + (1-rho) g;  step = lr g / sqrt(s [- a^2] + eps)
//                  p -= step, or with momentum: m <- momentum m + step;  p -= m
//   adam_step      m += (1-b1)(g - m);  s += (1-b2)(g^2 - s);  [amsgrad: h <- max(h, s), in place of s]
//                  p -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(s) + eps)
#pragma once

#include <cstdint>

#include "core/per_type.h"

namespace ranvier {

constexpr int kMaxSlots = 3;
constexpr int64_t kStepChunk = 16384;  // elements; the order of the sums for clipping follows from it

// A piece of one parameter with its gradient and state.
template <typename T>
struct StepChunk {
  T* parameter;
  const T* gradient;
  T* slots[kMaxSlots];
  int64_t size;
  double gradient_scale;  // from clipping by norm
};

template <typename T>
struct StepChunks {
  const StepChunk<T>* chunks;
  int64_t count;
  int64_t grain;  // chunks that together are worth waking a thread for
};

struct StepOptions {
  double learning_rate;
  double weight_decay;
  double clip_value;  // +Inf: none
};

struct SgdOptions {
  double momentum;
  bool nesterov;
};

struct RmspropOptions {
  double rho;
  double momentum;
  double epsilon;
};

struct AdamOptions {
  double beta_1;
  double beta_2;
  double epsilon;
  double correction;  // sqrt(1 - b2^t) / (1 - b1^t)
};

template <typename T>
struct OptimizerKernels {
  void (*sums_of_squares)(StepChunks<T> all, double* sums);  // of the gradients, one per chunk
  void (*sgd)(StepChunks<T> all, StepOptions step, SgdOptions sgd, bool has_velocity);
  void (*adagrad)(StepChunks<T> all, StepOptions step, double epsilon);
  void (*adadelta)(StepChunks<T> all, StepOptions step, double rho, double epsilon);
  // slots: velocity, momentum (if has_momentum), average gradient (if centred)
  void (*rmsprop)(StepChunks<T> all, StepOptions step, RmspropOptions rmsprop, bool has_momentum, bool centred);
  void (*adam)(StepChunks<T> all, StepOptions step, AdamOptions adam, bool amsgrad);
};

}  // namespace ranvier
