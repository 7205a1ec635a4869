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
//   nadam_step     m, s as Adam's;  u_t = b1 (1 - 0.96^t / 2), U_t = u_1 ... u_t
//                  p -= lr (u_{t+1} m / (1 - U_{t+1}) + (1 - u_t) g / (1 - U_t)) / (sqrt(s / (1 - b2^t)) + eps)
//   adamax_step    m as Adam's;  u <- max(b2 u, |g|);  p -= lr / (1 - b1^t) m / (u + eps)
//   lamb_step      m, s as Adam's;  d = m / (1 - b1^t) / (sqrt(s / (1 - b2^t)) + eps);  p -= lr |p| / |d| d
//                  with the norms of whole tensors
//   lion_step      p -= lr sign(b1 m + (1-b1) g);  m <- b2 m + (1-b2) g
//   ftrl_step      n' = n + g^2;  z += g + 2 shrinkage p - (n'^q - n^q) / lr p;  n <- n', with q = -power
//                  p <- (clip(z, -l1, l1) - z) / (n^q / lr + 2 (l2 + beta / (2 lr)))
//   loss_scale_step  gradient_scale <- 1 / scale if all g are finite, else 0, which leaves a step out
//                    scale <- scale / 2 then, and 2 scale after growth_steps good ones
//   blend_step     p <- keep p + add g, where 0 times anything is 0: running means, sums of gradients
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
  double weight_decay;
  int64_t tensor;  // the parameter that this is a piece of
};

template <typename T>
struct StepChunks {
  const StepChunk<T>* chunks;
  int64_t count;
  int64_t grain;                   // chunks that together are worth waking a thread for
  const double* scales = nullptr;  // of each chunk's gradient, on the device, from clipping by norm; null: 1
};

struct StepOptions {
  double learning_rate;
  double clip_value;  // +Inf: none
  // On the device: what all gradients are multiplied by before they are clipped; 0 leaves the step out. Null: 1.
  const double* gradient_scale = nullptr;
};

// Clipping by norm: of each tensor, or of all together.
struct NormLimit {
  double limit;
  bool global;
  const double* gradient_scale;
};

// The state of a loss scale, on the device.
struct LossScale {
  float* scale;
  int64_t* good_steps;     // since the scale last changed
  int64_t* iterations;     // steps that were taken
  double* gradient_scale;  // for the step to come: 1 / scale, or 0 where a gradient is not finite
  int64_t growth_steps;
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

// Of Adam and its kin: the factors of m, s and g in the update are worked out per step.
struct AdamOptions {
  double beta_1;
  double beta_2;
  double epsilon;
  double m_factor = 1;
  double s_factor = 1;
  double g_factor = 0;
  const int64_t* iteration = nullptr;  // on the device, where only it knows: the kernel works the factors out
};

struct FtrlOptions {
  double power;  // of the accumulators: -learning_rate_power
  double l1, l2, l2_shrinkage, beta;
};

template <typename T>
struct OptimizerKernels {
  // Sums and scales have one number a chunk and are the device's: nothing of them is read on the host.
  void (*sums_of_squares)(StepChunks<T> all, double* sums);  // of the gradients
  void (*clip_scales)(StepChunks<T> all, const double* sums, NormLimit limit, double* scales);
  void (*loss_scale)(StepChunks<T> all, const double* sums, LossScale state);  // decides, and adapts the scale
  void (*sgd)(StepChunks<T> all, StepOptions step, SgdOptions sgd, bool has_velocity);
  void (*adagrad)(StepChunks<T> all, StepOptions step, double epsilon);
  void (*adadelta)(StepChunks<T> all, StepOptions step, double rho, double epsilon);
  // slots: velocity, momentum (if has_momentum), average gradient (if centred)
  void (*rmsprop)(StepChunks<T> all, StepOptions step, RmspropOptions rmsprop, bool has_momentum, bool centred);
  void (*adam)(StepChunks<T> all, StepOptions step, AdamOptions adam, bool amsgrad);
  void (*nadam)(StepChunks<T> all, StepOptions step, AdamOptions adam);
  void (*adamax)(StepChunks<T> all, StepOptions step, AdamOptions adam);
  // Moves the moments and gives, per chunk, the sums of squares of the parameter and of its update; then `lamb` moves
  // the parameters, each tensor by |p| / |d| of the learning rate (by all of it where either is 0).
  void (*lamb_moments)(StepChunks<T> all, StepOptions step, AdamOptions adam, double* weights, double* updates);
  void (*lamb)(StepChunks<T> all, StepOptions step, AdamOptions adam, const double* weights, const double* updates);
  void (*lion)(StepChunks<T> all, StepOptions step, double beta_1, double beta_2);
  void (*ftrl)(StepChunks<T> all, StepOptions step, FtrlOptions ftrl);
  void (*blend)(StepChunks<T> all, StepOptions step, double keep, double add);
};

}  // namespace ranvier
