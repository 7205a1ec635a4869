#include "ops/optimizer.h"

#include <math.h>

#include "cpu/optimizer/norms.h"
#include "cpu/optimizer/pass.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// --- the optimizers: each says how one vector of a parameter and its state moves ----------------------------

template <typename T>
struct PlainSgd {
  static constexpr int kSlots = 0;
  Vec<T> learning_rate;
  RANVIER_INLINE void operator()(Vec<T>& p, Vec<T> g, Vec<T>*) const { p -= g * learning_rate; }
};

template <typename T>
struct MomentumSgd {
  static constexpr int kSlots = 1;
  Vec<T> learning_rate, momentum;
  bool nesterov;
  RANVIER_INLINE void operator()(Vec<T>& p, Vec<T> g, Vec<T>* slots) const {
    Vec<T>& v = slots[0];
    v = v * momentum - g * learning_rate;
    p += nesterov ? v * momentum - g * learning_rate : v;
  }
};

template <typename T>
struct Adagrad {
  static constexpr int kSlots = 1;
  Vec<T> learning_rate, epsilon;
  RANVIER_INLINE void operator()(Vec<T>& p, Vec<T> g, Vec<T>* slots) const {
    slots[0] += g * g;
    p -= learning_rate * g / sqrt(slots[0] + epsilon);
  }
};

template <typename T>
struct Adadelta {
  static constexpr int kSlots = 2;
  Vec<T> learning_rate, rho, rest, epsilon;
  RANVIER_INLINE void operator()(Vec<T>& p, Vec<T> g, Vec<T>* slots) const {
    Vec<T>&squares = slots[0], &deltas = slots[1];
    squares = rho * squares + rest * (g * g);
    const Vec<T> delta = -(sqrt(deltas + epsilon) * g) / sqrt(squares + epsilon);
    deltas = rho * deltas + rest * (delta * delta);
    p += learning_rate * delta;
  }
};

template <typename T, bool kMomentum, bool kCentred>
struct Rmsprop {
  static constexpr int kSlots = 1 + kMomentum + kCentred;
  Vec<T> learning_rate, rho, rest, momentum, epsilon;
  RANVIER_INLINE void operator()(Vec<T>& p, Vec<T> g, Vec<T>* slots) const {
    Vec<T>& velocity = slots[0];
    velocity = rho * velocity + rest * (g * g);
    Vec<T> spread = velocity;
    if (kCentred) {  // a variance: what rounding takes below zero is zero
      Vec<T>& average = slots[kSlots - 1];
      average = rho * average + rest * g;
      spread = max(velocity - average * average, Vec<T>{});
    }
    Vec<T> step = learning_rate * g / sqrt(spread + epsilon);
    if (kMomentum) step = slots[1] = momentum * slots[1] + step;
    p -= step;
  }
};

template <typename T, bool kAmsgrad>
struct Adam {
  static constexpr int kSlots = 2 + kAmsgrad;
  Vec<T> alpha, rest_1, rest_2, epsilon;
  RANVIER_INLINE void operator()(Vec<T>& p, Vec<T> g, Vec<T>* slots) const {
    Vec<T>&m = slots[0], &v = slots[1];
    m += (g - m) * rest_1;
    v += (g * g - v) * rest_2;
    Vec<T> scale = v;
    if (kAmsgrad) scale = slots[kSlots - 1] = max(slots[kSlots - 1], v);
    p -= m * alpha / (sqrt(scale) + epsilon);
  }
};

template <typename T>
struct Nadam {
  static constexpr int kSlots = 2;
  Vec<T> m_rate, g_rate, s_factor, rest_1, rest_2, epsilon;
  RANVIER_INLINE void operator()(Vec<T>& p, Vec<T> g, Vec<T>* slots) const {
    Vec<T>&m = slots[0], &s = slots[1];
    m += (g - m) * rest_1;
    s += (g * g - s) * rest_2;
    p -= (m * m_rate + g * g_rate) / (sqrt(s * s_factor) + epsilon);
  }
};

template <typename T>
struct Adamax {
  static constexpr int kSlots = 2;
  Vec<T> alpha, rest_1, beta_2, epsilon;
  RANVIER_INLINE void operator()(Vec<T>& p, Vec<T> g, Vec<T>* slots) const {
    Vec<T>&m = slots[0], &norm = slots[1];
    m += (g - m) * rest_1;
    norm = max(norm * beta_2, max(g, -g));
    p -= m * alpha / (norm + epsilon);
  }
};

template <typename T>
struct Lion {
  static constexpr int kSlots = 1;
  Vec<T> learning_rate, beta_1, rest_1, beta_2, rest_2;
  RANVIER_INLINE void operator()(Vec<T>& p, Vec<T> g, Vec<T>* slots) const {
    Vec<T>& m = slots[0];
    const Vec<T> way = m * beta_1 + g * rest_1;
    p -= select(way > 0, learning_rate, select(way < 0, -learning_rate, way * 0));  // way * 0: NaN stays
    m = m * beta_2 + g * rest_2;
  }
};

template <typename T>
RANVIER_INLINE Vec<T> power_of(Vec<T> x, T exponent) {
  if (exponent == T(0.5)) return sqrt(x);
  for (int i = 0; i < kWidth<T>; ++i) x[i] = T(::pow(double(x[i]), double(exponent)));
  return x;
}

template <typename T>
struct Ftrl {
  static constexpr int kSlots = 2;
  T power, l1;
  Vec<T> learning_rate, shrinkage, l2;  // both l2 with their factors of 2
  RANVIER_INLINE void operator()(Vec<T>& p, Vec<T> g, Vec<T>* slots) const {
    Vec<T>&squares = slots[0], &linear = slots[1];
    const Vec<T> before = power_of(squares, power);
    squares += g * g;
    const Vec<T> after = power_of(squares, power);
    linear += g + shrinkage * p - (after - before) / learning_rate * p;
    const Vec<T> limit = broadcast(l1);
    p = (max(min(linear, limit), -limit) - linear) / (after / learning_rate + l2);
  }
};

template <typename T>
struct Blend {
  static constexpr int kSlots = 0;
  T keep, add;
  RANVIER_INLINE void operator()(Vec<T>& p, Vec<T> g, Vec<T>*) const {
    const Vec<T> kept = keep == 0 ? Vec<T>{} : p * broadcast(keep);  // a NaN goes with what is dropped
    p = add == 0 ? kept : kept + g * broadcast(add);
  }
};

// --- the table's entries --------------------------------------------------------------------------------------

template <typename T>
void sgd_step(StepChunks<T> all, StepOptions step, SgdOptions sgd, bool has_velocity) {
  const Vec<T> rate = constant<T>(step.learning_rate);
  if (!has_velocity) return each_element(all, step, PlainSgd<T>{rate});
  each_element(all, step, MomentumSgd<T>{rate, constant<T>(sgd.momentum), sgd.nesterov});
}

template <typename T>
void adagrad_step(StepChunks<T> all, StepOptions step, double epsilon) {
  each_element(all, step, Adagrad<T>{constant<T>(step.learning_rate), constant<T>(epsilon)});
}

template <typename T>
void adadelta_step(StepChunks<T> all, StepOptions step, double rho, double epsilon) {
  each_element(
      all, step,
      Adadelta<T>{constant<T>(step.learning_rate), constant<T>(rho), constant<T>(1 - rho), constant<T>(epsilon)});
}

template <typename T, bool kMomentum, bool kCentred>
void rmsprop_with(StepChunks<T> all, StepOptions step, RmspropOptions o) {
  each_element(
      all, step,
      Rmsprop<T, kMomentum, kCentred>{constant<T>(step.learning_rate), constant<T>(o.rho), constant<T>(1 - o.rho),
                                      constant<T>(o.momentum), constant<T>(o.epsilon)});
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
               Adam<T, kAmsgrad>{constant<T>(step.learning_rate * o.m_factor), constant<T>(1 - o.beta_1),
                                 constant<T>(1 - o.beta_2), constant<T>(o.epsilon)});
}

template <typename T>
void adam_step(StepChunks<T> all, StepOptions step, AdamOptions options, bool amsgrad) {
  if (amsgrad) return adam_with<T, true>(all, step, options);
  adam_with<T, false>(all, step, options);
}

template <typename T>
void nadam_step(StepChunks<T> all, StepOptions step, AdamOptions o) {
  each_element(
      all, step,
      Nadam<T>{constant<T>(step.learning_rate * o.m_factor), constant<T>(step.learning_rate * o.g_factor),
               constant<T>(o.s_factor), constant<T>(1 - o.beta_1), constant<T>(1 - o.beta_2), constant<T>(o.epsilon)});
}

template <typename T>
void adamax_step(StepChunks<T> all, StepOptions step, AdamOptions o) {
  each_element(all, step,
               Adamax<T>{constant<T>(step.learning_rate * o.m_factor), constant<T>(1 - o.beta_1), constant<T>(o.beta_2),
                         constant<T>(o.epsilon)});
}

template <typename T>
void lion_step(StepChunks<T> all, StepOptions step, double beta_1, double beta_2) {
  each_element(all, step,
               Lion<T>{constant<T>(step.learning_rate), constant<T>(beta_1), constant<T>(1 - beta_1),
                       constant<T>(beta_2), constant<T>(1 - beta_2)});
}

template <typename T>
void ftrl_step(StepChunks<T> all, StepOptions step, FtrlOptions o) {
  const double l2 = 2 * (o.l2 + o.beta / (2 * step.learning_rate));
  each_element(
      all, step,
      Ftrl<T>{T(o.power), T(o.l1), constant<T>(step.learning_rate), constant<T>(2 * o.l2_shrinkage), constant<T>(l2)});
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

}  // namespace RANVIER_ISA
}  // namespace ranvier
