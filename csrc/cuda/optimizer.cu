// Optimizer steps: all tensors in one launch. A block of threads takes a chunk of one tensor (ops/optimizer.h) after
// another, its lanes side by side; parameter, gradient and state are read once and written once: Adam in float32 moves
// 28 bytes a parameter, and nothing it computes takes as long.
#include "ops/optimizer.h"

#include "cuda/optimizer/norms.h"
#include "cuda/optimizer/pass.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// --- the optimizers: each says how one element of a parameter and its state moves ------------------------------------

template <typename T>
struct PlainSgd {
  static constexpr int kSlots = 0;
  T learning_rate;
  __device__ void operator()(T& p, T g, T*) const { p -= g * learning_rate; }
};

template <typename T>
struct MomentumSgd {
  static constexpr int kSlots = 1;
  T learning_rate, momentum;
  bool nesterov;
  __device__ void operator()(T& p, T g, T* slots) const {
    T& v = slots[0];
    v = v * momentum - g * learning_rate;
    p += nesterov ? v * momentum - g * learning_rate : v;
  }
};

template <typename T>
struct Adagrad {
  static constexpr int kSlots = 1;
  T learning_rate, epsilon;
  __device__ void operator()(T& p, T g, T* slots) const {
    slots[0] += g * g;
    p -= learning_rate * g / sqrt(slots[0] + epsilon);
  }
};

template <typename T>
struct Adadelta {
  static constexpr int kSlots = 2;
  T learning_rate, rho, rest, epsilon;
  __device__ void operator()(T& p, T g, T* slots) const {
    T &squares = slots[0], &deltas = slots[1];
    squares = rho * squares + rest * (g * g);
    const T delta = -(sqrt(deltas + epsilon) * g) / sqrt(squares + epsilon);
    deltas = rho * deltas + rest * (delta * delta);
    p += learning_rate * delta;
  }
};

template <typename T, bool kMomentum, bool kCentred>
struct Rmsprop {
  static constexpr int kSlots = 1 + kMomentum + kCentred;
  T learning_rate, rho, rest, momentum, epsilon;
  __device__ void operator()(T& p, T g, T* slots) const {
    T& velocity = slots[0];
    velocity = rho * velocity + rest * (g * g);
    T spread = velocity;
    if (kCentred) {  // a variance: what rounding takes below zero is zero
      T& average = slots[kSlots - 1];
      average = rho * average + rest * g;
      spread = larger(velocity - average * average, T(0));
    }
    T step = learning_rate * g / sqrt(spread + epsilon);
    if (kMomentum) step = slots[1] = momentum * slots[1] + step;
    p -= step;
  }
};

template <typename T, bool kAmsgrad>
struct Adam {
  static constexpr int kSlots = 2 + kAmsgrad;
  T alpha, rest_1, rest_2, epsilon;
  __device__ void operator()(T& p, T g, T* slots) const {
    T &m = slots[0], &v = slots[1];
    m += (g - m) * rest_1;
    v += (g * g - v) * rest_2;
    T scale = v;
    if (kAmsgrad) scale = slots[kSlots - 1] = larger(slots[kSlots - 1], v);
    p -= m * alpha / (sqrt(scale) + epsilon);
  }
};

template <typename T>
struct Nadam {
  static constexpr int kSlots = 2;
  T m_rate, g_rate, s_factor, rest_1, rest_2, epsilon;
  __device__ void operator()(T& p, T g, T* slots) const {
    T &m = slots[0], &s = slots[1];
    m += (g - m) * rest_1;
    s += (g * g - s) * rest_2;
    p -= (m * m_rate + g * g_rate) / (sqrt(s * s_factor) + epsilon);
  }
};

template <typename T>
struct Adamax {
  static constexpr int kSlots = 2;
  T alpha, rest_1, beta_2, epsilon;
  __device__ void operator()(T& p, T g, T* slots) const {
    T &m = slots[0], &norm = slots[1];
    m += (g - m) * rest_1;
    norm = larger(norm * beta_2, larger(g, -g));
    p -= m * alpha / (norm + epsilon);
  }
};

template <typename T, bool kAmsgrad>
__device__ void learn(Adam<T, kAmsgrad>& update, const double* factors, double rate) {
  update.alpha = T(rate * factors[0]);
}

template <typename T>
__device__ void learn(Nadam<T>& update, const double* factors, double rate) {
  update.m_rate = T(rate * factors[0]);
  update.s_factor = T(factors[1]);
  update.g_rate = T(rate * factors[2]);
}

template <typename T>
__device__ void learn(Adamax<T>& update, const double* factors, double rate) {
  update.alpha = T(rate * factors[0]);
}

template <typename T>
struct Lion {
  static constexpr int kSlots = 1;
  T learning_rate, beta_1, rest_1, beta_2, rest_2;
  __device__ void operator()(T& p, T g, T* slots) const {
    T& m = slots[0];
    const T way = m * beta_1 + g * rest_1;
    p -= way > 0 ? learning_rate : way < 0 ? -learning_rate : way * 0;  // way * 0: NaN stays
    m = m * beta_2 + g * rest_2;
  }
};

template <typename T>
__device__ T power_of(T x, T exponent) {
  return exponent == T(0.5) ? T(sqrt(x)) : T(pow(double(x), double(exponent)));
}

template <typename T>
struct Ftrl {
  static constexpr int kSlots = 2;
  T power, l1;
  T learning_rate, shrinkage, l2;  // both l2 with their factors of 2
  __device__ void operator()(T& p, T g, T* slots) const {
    T &squares = slots[0], &linear = slots[1];
    const T before = power_of(squares, power);
    squares += g * g;
    const T after = power_of(squares, power);
    linear += g + shrinkage * p - (after - before) / learning_rate * p;
    const T limit = (l1);
    p = (larger(smaller(linear, limit), -limit) - linear) / (after / learning_rate + l2);
  }
};

template <typename T>
struct Blend {
  static constexpr int kSlots = 0;
  T keep, add;
  __device__ void operator()(T& p, T g, T*) const {
    const T kept = keep == 0 ? T(0) : p * (keep);  // a NaN goes with what is dropped
    p = add == 0 ? kept : kept + g * (add);
  }
};

// --- the table's entries ---

template <typename T>
void sgd_step(StepChunks<T> all, StepOptions step, SgdOptions sgd, bool has_velocity) {
  const T rate = T(step.learning_rate);
  if (!has_velocity) return each_element(all, step, PlainSgd<T>{rate});
  each_element(all, step, MomentumSgd<T>{rate, T(sgd.momentum), sgd.nesterov});
}

template <typename T>
void adagrad_step(StepChunks<T> all, StepOptions step, double epsilon) {
  each_element(all, step, Adagrad<T>{T(step.learning_rate), T(epsilon)});
}

template <typename T>
void adadelta_step(StepChunks<T> all, StepOptions step, double rho, double epsilon) {
  each_element(all, step, Adadelta<T>{T(step.learning_rate), T(rho), T(1 - rho), T(epsilon)});
}

template <typename T, bool kMomentum, bool kCentred>
void rmsprop_with(StepChunks<T> all, StepOptions step, RmspropOptions o) {
  each_element(
      all, step,
      Rmsprop<T, kMomentum, kCentred>{T(step.learning_rate), T(o.rho), T(1 - o.rho), T(o.momentum), T(o.epsilon)});
}

template <typename T>
void rmsprop_step(StepChunks<T> all, StepOptions step, RmspropOptions options, bool has_momentum, bool centred) {
  if (has_momentum && centred) return rmsprop_with<T, true, true>(all, step, options);
  if (has_momentum) return rmsprop_with<T, true, false>(all, step, options);
  if (centred) return rmsprop_with<T, false, true>(all, step, options);
  rmsprop_with<T, false, false>(all, step, options);
}

template <typename T, bool kAmsgrad>
void adam_with(StepChunks<T> all, StepOptions step, AdamOptions o) {
  each_element(all, step,
               Adam<T, kAmsgrad>{T(step.learning_rate * o.m_factor), T(1 - o.beta_1), T(1 - o.beta_2), T(o.epsilon)},
               Kin::Adam, o);
}

template <typename T>
void adam_step(StepChunks<T> all, StepOptions step, AdamOptions options, bool amsgrad) {
  if (amsgrad) return adam_with<T, true>(all, step, options);
  adam_with<T, false>(all, step, options);
}

template <typename T>
void nadam_step(StepChunks<T> all, StepOptions step, AdamOptions o) {
  each_element(all, step,
               Nadam<T>{T(step.learning_rate * o.m_factor), T(step.learning_rate * o.g_factor), T(o.s_factor),
                        T(1 - o.beta_1), T(1 - o.beta_2), T(o.epsilon)},
               Kin::Nadam, o);
}

template <typename T>
void adamax_step(StepChunks<T> all, StepOptions step, AdamOptions o) {
  each_element(all, step, Adamax<T>{T(step.learning_rate * o.m_factor), T(1 - o.beta_1), T(o.beta_2), T(o.epsilon)},
               Kin::Adamax, o);
}

template <typename T>
void lion_step(StepChunks<T> all, StepOptions step, double beta_1, double beta_2) {
  each_element(all, step, Lion<T>{T(step.learning_rate), T(beta_1), T(1 - beta_1), T(beta_2), T(1 - beta_2)});
}

template <typename T>
void ftrl_step(StepChunks<T> all, StepOptions step, FtrlOptions o) {
  const double l2 = 2 * (o.l2 + o.beta / (2 * step.learning_rate));
  each_element(all, step, Ftrl<T>{T(o.power), T(o.l1), T(step.learning_rate), T(2 * o.l2_shrinkage), T(l2)});
}

template <typename T>
void blend_step(StepChunks<T> all, StepOptions step, double keep, double add) {
  each_element(all, step, Blend<T>{T(keep), T(add)});
}

template <typename T>
constexpr OptimizerKernels<T> kernels_of() noexcept {
  return {sums_of_squares<T>, clip_scales<T>,  loss_scale_step<T>, sgd_step<T>,   adagrad_step<T>,
          adadelta_step<T>,   rmsprop_step<T>, adam_step<T>,       nadam_step<T>, adamax_step<T>,
          lamb_moments<T>,    lamb_step<T>,    lion_step<T>,       ftrl_step<T>,  blend_step<T>};
}

}  // namespace

extern const PerType<OptimizerKernels> optimizer_kernels;
const PerType<OptimizerKernels> optimizer_kernels = {kernels_of<float>(), kernels_of<double>()};

}  // namespace RANVIER_GPU
}  // namespace ranvier
