#include "ops/optimizer.h"

#include <math.h>

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// --- the pass that all optimizers share: load, clip, decay, update, store -----------------------------------

template <typename T>
RANVIER_INLINE Vec<T> clipped_gradient(const StepChunk<T>& chunk, int64_t i, int64_t n, const StepOptions& step,
                                       T scale) {
  const Vec<T> limit = broadcast(T(step.clip_value));
  const Vec<T> scaled = load_partial(chunk.gradient + i, n) * broadcast(scale);
  return max(min(scaled, limit), -limit);
}

// What the gradient of chunk c is multiplied by.
template <typename T>
T scale_of(const StepChunks<T>& all, const StepOptions& step, int64_t c) {
  return T((all.scales == nullptr ? 1 : all.scales[c]) * (step.gradient_scale == nullptr ? 1 : *step.gradient_scale));
}

bool left_out(const StepOptions& step) { return step.gradient_scale != nullptr && *step.gradient_scale == 0; }

template <typename T, typename Update>
RANVIER_INLINE void update_vector(const StepChunk<T>& chunk, int64_t i, int64_t n, const StepOptions& step, T scale,
                                  T decay, const Update& update) {
  constexpr int kSlots = Update::kSlots;
  const Vec<T> gradient = clipped_gradient(chunk, i, n, step, scale);
  Vec<T> parameter = load_partial(chunk.parameter + i, n);
  if (decay != 0) parameter = parameter - parameter * broadcast(decay);
  Vec<T> slots[kSlots + 1];  // one more: there are no arrays of none
  for (int s = 0; s < kSlots; ++s) slots[s] = load_partial(chunk.slots[s] + i, n);
  update(parameter, gradient, slots);
  for (int s = 0; s < kSlots; ++s) store_partial(chunk.slots[s] + i, slots[s], n);
  store_partial(chunk.parameter + i, parameter, n);
}

template <typename T, typename Update>
void each_element(StepChunks<T> all, StepOptions step, const Update& update) {
  if (left_out(step)) return;
  parallel(0, all.count, all.grain, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const StepChunk<T> chunk = all.chunks[c];
      const T decay = T(step.learning_rate * chunk.weight_decay), scale = scale_of(all, step, c);
      int64_t i = 0;
      for (; i + kWidth<T> <= chunk.size; i += kWidth<T>)
        update_vector(chunk, i, kWidth<T>, step, scale, decay, update);
      if (i < chunk.size) update_vector(chunk, i, chunk.size - i, step, scale, decay, update);
    }
  });
}

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

// --- Lamb: one pass for the moments and the norms of parameter and update, one that moves by the trust ratio ---
// The ratio is known after the first. Together they read p, m, s twice and g once and write m, s, p once: 10 streams
// (11 with decay, which moves p in the first); a pass of its own for the norms made them 14.

template <typename T>
struct InDouble;
template <>
struct InDouble<float> {
  typedef double Vector __attribute__((vector_size(kWidth<float> * 8)));
};
template <>
struct InDouble<double> {
  typedef Vec<double> Vector;
};

// A sum of squares in double, one per lane.
template <typename T>
struct Squares {
  using Wide = typename InDouble<T>::Vector;
  Wide sums = {};
  RANVIER_INLINE void add(const Vec<T>& v) {
    const Wide wide = __builtin_convertvector(v, Wide);
    sums += wide * wide;
  }
  RANVIER_INLINE double total() const {
    double all = 0;
    for (int k = 0; k < kWidth<T>; ++k) all += sums[k];
    return all;
  }
};

template <typename T>
struct Lamb {
  Vec<T> rest_1, rest_2, m_factor, s_factor, epsilon;
  RANVIER_INLINE Vec<T> update(Vec<T> m, Vec<T> s) const { return m * m_factor / (sqrt(s * s_factor) + epsilon); }

  RANVIER_INLINE void measure(const StepChunk<T>& chunk, int64_t i, int64_t n, const StepOptions& step, T scale,
                              T decay, Squares<T>& weights, Squares<T>& updates) const {
    const Vec<T> g = clipped_gradient(chunk, i, n, step, scale);
    Vec<T> m = load_partial(chunk.slots[0] + i, n), s = load_partial(chunk.slots[1] + i, n);
    m += (g - m) * rest_1;
    s += (g * g - s) * rest_2;
    store_partial(chunk.slots[0] + i, m, n);
    store_partial(chunk.slots[1] + i, s, n);
    Vec<T> p = load_partial(chunk.parameter + i, n);
    if (decay != 0) {
      p = p - p * broadcast(decay);
      store_partial(chunk.parameter + i, p, n);
    }
    Vec<T> d = update(m, s);
    if (n < kWidth<T>) {  // 0 / 0 beyond the end, where epsilon is 0
      T values[kWidth<T>];
      store(values, d);
      d = load_partial(values, n);
    }
    weights.add(p);
    updates.add(d);
  }

  RANVIER_INLINE void move(const StepChunk<T>& chunk, int64_t i, int64_t n, Vec<T> share) const {
    const Vec<T> d = update(load_partial(chunk.slots[0] + i, n), load_partial(chunk.slots[1] + i, n));
    store_partial(chunk.parameter + i, load_partial(chunk.parameter + i, n) - d * share, n);
  }
};

// --- the table's entries --------------------------------------------------------------------------------------

template <typename T>
Vec<T> constant(double value) {
  return broadcast(T(value));
}

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

// --- norms: per chunk in double, so that the sum of squares of large float32 does not overflow -------

template <typename T>
double sum_of_squares(const T* g, int64_t n) {
  constexpr int kLanes = 16;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int k = 0; k < kLanes; ++k) lanes[k] += double(g[i + k]) * double(g[i + k]);
  }
  for (int k = 0; i + k < n; ++k) lanes[k] += double(g[i + k]) * double(g[i + k]);
  double total = 0;
  for (int k = 0; k < kLanes; ++k) total += lanes[k];
  return total;
}

template <typename T>
void sums_of_squares(StepChunks<T> all, double* sums) {
  parallel(0, all.count, all.grain, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) sums[c] = sum_of_squares(all.chunks[c].gradient, all.chunks[c].size);
  });
}

// The sum over all chunks of the tensor that chunk c is of, in their order, whatever the threads did. A tensor of many
// chunks has its sum added up again for each, which is nothing beside the 16384 elements of one.
template <typename T>
double of_tensor(const StepChunks<T>& all, const double* sums, int64_t c) {
  const int64_t tensor = all.chunks[c].tensor;
  int64_t begin = c;
  while (begin > 0 && all.chunks[begin - 1].tensor == tensor) --begin;
  double sum = 0;
  for (int64_t i = begin; i < all.count && all.chunks[i].tensor == tensor; ++i) sum += sums[i];
  return sum;
}

// limit / max(norm, limit); NaN for a norm of NaN, so that no step hides one.
double scale_for(double sum, NormLimit limit) {
  const double norm = ::sqrt(sum) * (limit.gradient_scale == nullptr ? 1 : *limit.gradient_scale);
  return norm <= limit.limit ? 1 : limit.limit / norm;
}

template <typename T>
void clip_scales(StepChunks<T> all, const double* sums, NormLimit limit, double* scales) {
  double total = 0;
  if (limit.global) {
    for (int64_t c = 0; c < all.count; ++c) total += sums[c];
    if (!(total - total == 0)) total = NAN;  // an infinite norm hides no step either
  }
  for (int64_t c = 0; c < all.count; ++c) {
    scales[c] = scale_for(limit.global ? total : of_tensor(all, sums, c), limit);
  }
}

template <typename T>
void loss_scale_step(StepChunks<T> all, const double* sums, LossScale state) {
  bool finite = true;
  for (int64_t c = 0; c < all.count; ++c) finite = finite && sums[c] - sums[c] == 0;
  *state.gradient_scale = finite ? 1 / double(*state.scale) : 0;
  *state.iterations += finite;
  *state.good_steps = finite ? *state.good_steps + 1 : 0;
  if (!finite) *state.scale *= 0.5f;
  if (*state.good_steps != state.growth_steps) return;
  *state.good_steps = 0;
  *state.scale *= 2;
}

template <typename T>
Lamb<T> lamb_of(AdamOptions o) {
  return {constant<T>(1 - o.beta_1), constant<T>(1 - o.beta_2), constant<T>(o.m_factor), constant<T>(o.s_factor),
          constant<T>(o.epsilon)};
}

template <typename T>
void lamb_moments(StepChunks<T> all, StepOptions step, AdamOptions o, double* weights, double* updates) {
  if (left_out(step)) return;
  const Lamb<T> lamb = lamb_of<T>(o);
  parallel(0, all.count, all.grain, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const StepChunk<T> chunk = all.chunks[c];
      const T decay = T(step.learning_rate * chunk.weight_decay), scale = scale_of(all, step, c);
      Squares<T> of_weights, of_updates;
      int64_t i = 0;
      for (; i + kWidth<T> <= chunk.size; i += kWidth<T>) {
        lamb.measure(chunk, i, kWidth<T>, step, scale, decay, of_weights, of_updates);
      }
      if (i < chunk.size) lamb.measure(chunk, i, chunk.size - i, step, scale, decay, of_weights, of_updates);
      weights[c] = of_weights.total();
      updates[c] = of_updates.total();
    }
  });
}

template <typename T>
void lamb_step(StepChunks<T> all, StepOptions step, AdamOptions o, const double* weights, const double* updates) {
  if (left_out(step)) return;
  const Lamb<T> lamb = lamb_of<T>(o);
  parallel(0, all.count, all.grain, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const StepChunk<T> chunk = all.chunks[c];
      const double weight = of_tensor(all, weights, c), change = of_tensor(all, updates, c);
      const Vec<T> share =
          constant<T>((weight > 0 && change > 0 ? ::sqrt(weight) / ::sqrt(change) : 1) * step.learning_rate);
      int64_t i = 0;
      for (; i + kWidth<T> <= chunk.size; i += kWidth<T>) lamb.move(chunk, i, kWidth<T>, share);
      if (i < chunk.size) lamb.move(chunk, i, chunk.size - i, share);
    }
  });
}

template <typename T>
constexpr OptimizerKernels<T> kernels_of() noexcept {
  return {sums_of_squares<T>, clip_scales<T>,  loss_scale_step<T>, sgd_step<T>,   adagrad_step<T>,
          adadelta_step<T>,   rmsprop_step<T>, adam_step<T>,  nadam_step<T>, adamax_step<T>,
          lamb_moments<T>,    lamb_step<T>,    lion_step<T>,  ftrl_step<T>,  blend_step<T>};
}

}  // namespace

extern const PerType<OptimizerKernels> optimizer_kernels;
const PerType<OptimizerKernels> optimizer_kernels = {kernels_of<float>(), kernels_of<double>()};

}  // namespace RANVIER_ISA
}  // namespace ranvier
