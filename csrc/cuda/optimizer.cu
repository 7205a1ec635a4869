// Optimizer steps: all tensors in one launch. A block of threads takes a chunk of one tensor (ops/optimizer.h) after
// another, its lanes side by side; parameter, gradient and state are read once and written once: Adam in float32 moves
// 28 bytes a parameter, and nothing it computes takes as long.
#include "ops/optimizer.h"

#include "cuda/rows.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// Adam's factors of m, s and g for the iteration that the device has counted to: see the steps in ops/optimizer.
enum class Kin { Adam, Nadam, Adamax, Lamb };

__device__ double nadam_weight(double beta_1, double i) { return beta_1 * (1 - 0.5 * pow(0.96, i)); }

__device__ AdamOptions with_factors(Kin kin, AdamOptions o) {
  if (o.iteration == nullptr) return o;
  const double t = double(*o.iteration), rest_1 = 1 - pow(o.beta_1, t), rest_2 = 1 - pow(o.beta_2, t);
  o.m_factor = kin == Kin::Adam ? sqrt(rest_2) / rest_1 : 1 / rest_1;
  o.s_factor = 1 / rest_2;
  if (kin == Kin::Nadam) {
    double product = 1;
    for (int64_t i = 1; double(i) <= t && product > 1e-18; ++i) product *= nadam_weight(o.beta_1, double(i));
    const double next = nadam_weight(o.beta_1, t + 1);
    o.m_factor = next / (1 - product * next);
    o.g_factor = (1 - nadam_weight(o.beta_1, t)) / (1 - product);
  }
  return o;
}

template <int kUnused = 0>
__global__ void work_out(Kin kin, AdamOptions options, double* factors) {
  if (grid_thread() > 0) return;
  const AdamOptions found = with_factors(kin, options);
  factors[0] = found.m_factor, factors[1] = found.s_factor, factors[2] = found.g_factor;
}

// Most updates know all that they need.
template <typename Update>
__device__ void learn(Update&, const double*, double) {}

__device__ bool left_out(const StepOptions& step) {
  return step.gradient_scale != nullptr && *step.gradient_scale == 0;
}

template <typename T, typename Update>
__global__ void __launch_bounds__(kThreads)
    update_chunks(const StepChunk<T>* chunks, const double* scales, int64_t count, StepOptions step,
                  const double* factors, Update update) {
  constexpr int kSlots = Update::kSlots;
  if (left_out(step)) return;
  if (factors != nullptr) learn(update, factors, step.learning_rate);
  for (int64_t c = blockIdx.x; c < count; c += gridDim.x) {
    const StepChunk<T> chunk = chunks[c];
    const T decay = T(step.learning_rate * chunk.weight_decay);
    const T scale =
        T((scales == nullptr ? 1 : scales[c]) * (step.gradient_scale == nullptr ? 1 : *step.gradient_scale));
    const T limit = T(step.clip_value);
    for (int64_t i = threadIdx.x; i < chunk.size; i += kThreads) {
      const T gradient = larger(smaller(T(chunk.gradient[i] * scale), limit), -limit);
      T parameter = chunk.parameter[i];
      if (decay != T(0)) parameter = parameter - parameter * decay;
      T slots[kSlots + 1];  // one more: there are no arrays of none
      for (int s = 0; s < kSlots; ++s) slots[s] = chunk.slots[s][i];
      update(parameter, gradient, slots);
      for (int s = 0; s < kSlots; ++s) chunk.slots[s][i] = slots[s];
      chunk.parameter[i] = parameter;
    }
  }
}

// The table of chunks comes from the host with each step: 88 bytes for up to 16384 elements.
template <typename T>
Workspace on_device(StepChunks<T> all) {
  return Workspace(all.chunks, static_cast<std::size_t>(all.count) * sizeof(StepChunk<T>));
}

template <typename T, typename Update>
void each_element(StepChunks<T> all, StepOptions step, Update update, const double* factors = nullptr) {
  if (all.count == 0) return;
  const Workspace chunks = on_device(all);
  launch<update_chunks<T, Update>>(blocks_for(all.count), dim3(kThreads), 0, current_stream(),
                                   static_cast<const StepChunk<T>*>(chunks.as<StepChunk<T>>()), all.scales, all.count,
                                   step, factors, update);
}

// The same for Adam's kin, whose factors the device may have to work out first.
template <typename T, typename Update>
void each_element(StepChunks<T> all, StepOptions step, Update update, Kin kin, AdamOptions options) {
  if (options.iteration == nullptr) return each_element(all, step, update);
  const Workspace factors(3 * sizeof(double));
  launch<work_out<>>(dim3(1), dim3(1), 0, current_stream(), kin, options, factors.as<double>());
  each_element(all, step, update, factors.as<double>());
}

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

// --- norms: per chunk, in double ------------------------------------------------------------------------------------

template <typename T>
__global__ void __launch_bounds__(kThreads) sum_squares(const StepChunk<T>* chunks, int64_t count, double* sums) {
  for (int64_t c = blockIdx.x; c < count; c += gridDim.x) {
    const StepChunk<T> chunk = chunks[c];
    double sum = 0;
    for (int64_t i = threadIdx.x; i < chunk.size; i += kThreads) {
      sum += double(chunk.gradient[i]) * double(chunk.gradient[i]);
    }
    sum = over_block(sum, Adds{});
    if (threadIdx.x == 0) sums[c] = sum;
  }
}

template <typename T>
void sums_of_squares(StepChunks<T> all, double* sums) {
  if (all.count == 0) return;
  const Workspace chunks = on_device(all);
  launch<sum_squares<T>>(blocks_for(all.count), dim3(kThreads), 0, current_stream(),
                         static_cast<const StepChunk<T>*>(chunks.as<StepChunk<T>>()), all.count, sums);
}

// The sum over all chunks of the tensor that chunk c is of, in their order. A tensor of many chunks has its sum added
// up again by a thread for each: a few thousand numbers that lie in the cache.
template <typename T>
__device__ double of_tensor(const StepChunk<T>* chunks, int64_t count, const double* sums, int64_t c) {
  const int64_t tensor = chunks[c].tensor;
  int64_t begin = c;
  while (begin > 0 && chunks[begin - 1].tensor == tensor) --begin;
  double sum = 0;
  for (int64_t i = begin; i < count && chunks[i].tensor == tensor; ++i) sum += sums[i];
  return sum;
}

// One block, in an order that follows from the count alone.
template <int kUnused = 0>
__global__ void __launch_bounds__(kThreads) add_all(const double* sums, int64_t count, double* total) {
  double sum = 0;
  for (int64_t c = threadIdx.x; c < count; c += kThreads) sum += sums[c];
  sum = over_block(sum, Adds{});
  if (threadIdx.x == 0) *total = sum;
}

// limit / max(norm, limit); NaN for a norm that is NaN, or infinite over all tensors, so that no step hides one.
template <typename T>
__global__ void __launch_bounds__(kThreads) find_scales(const StepChunk<T>* chunks, int64_t count, const double* sums,
                                                        const double* total, NormLimit limit, double* scales) {
  for (int64_t c = grid_thread(); c < count; c += grid_threads()) {
    double sum = total != nullptr ? *total : of_tensor(chunks, count, sums, c);
    if (total != nullptr && !(sum - sum == 0)) sum = sum - sum;
    const double norm = sqrt(sum) * (limit.gradient_scale == nullptr ? 1 : *limit.gradient_scale);
    scales[c] = norm <= limit.limit ? 1 : limit.limit / norm;
  }
}

template <typename T>
void clip_scales(StepChunks<T> all, const double* sums, NormLimit limit, double* scales) {
  if (all.count == 0) return;
  const Workspace chunks = on_device(all), total(sizeof(double));
  if (limit.global) {
    launch<add_all<>>(dim3(1), dim3(kThreads), 0, current_stream(), sums, all.count, total.as<double>());
  }
  launch<find_scales<T>>(grid_for(all.count), dim3(kThreads), 0, current_stream(),
                         static_cast<const StepChunk<T>*>(chunks.as<StepChunk<T>>()), all.count, sums,
                         static_cast<const double*>(limit.global ? total.as<double>() : nullptr), limit, scales);
}

// The decision on a step: by one block, which alone writes.
template <int kUnused = 0>
__global__ void __launch_bounds__(kThreads) decide(const double* sums, int64_t count, LossScale state) {
  double worst = 0;  // NaN where a sum is not finite
  for (int64_t c = threadIdx.x; c < count; c += kThreads) worst += sums[c] - sums[c];
  worst = over_block(worst, Adds{});
  if (threadIdx.x > 0) return;
  const bool finite = worst == 0;
  *state.gradient_scale = finite ? 1 / double(*state.scale) : 0;
  if (finite) ++*state.iterations;
  const int64_t good = finite ? *state.good_steps + 1 : 0;
  const bool grows = good == state.growth_steps;
  if (!finite || grows) *state.scale *= grows ? 2.0f : 0.5f;
  *state.good_steps = grows ? 0 : good;
}

template <typename T>
void loss_scale_step(StepChunks<T> all, const double* sums, LossScale state) {
  launch<decide<>>(dim3(1), dim3(kThreads), 0, current_stream(), sums, all.count, state);
}

// --- Lamb: the moments and the norms of parameter and update, then the update by its tensor's trust ratio ------------

template <typename T>
struct Moments {
  static constexpr int kSlots = 2;
  T rest_1, rest_2;
  __device__ void operator()(T&, T g, T* slots) const {
    slots[0] += (g - slots[0]) * rest_1;
    slots[1] += (g * g - slots[1]) * rest_2;
  }
};

template <typename T>
struct LambUpdate {
  T m_factor, s_factor, epsilon;
  const double* factors;  // that the device has worked out; null where those above are right
  __device__ void learn() {
    if (factors != nullptr) m_factor = T(factors[0]), s_factor = T(factors[1]);
  }
  __device__ T operator()(const StepChunk<T>& chunk, int64_t i) const {
    return chunk.slots[0][i] * m_factor / (T(sqrt(chunk.slots[1][i] * s_factor)) + epsilon);
  }
};

template <typename T>
__global__ void __launch_bounds__(kThreads) sum_lamb_squares(const StepChunk<T>* chunks, int64_t count,
                                                             LambUpdate<T> update, double* weights, double* updates) {
  update.learn();
  for (int64_t c = blockIdx.x; c < count; c += gridDim.x) {
    const StepChunk<T> chunk = chunks[c];
    double weight = 0, change = 0;
    for (int64_t i = threadIdx.x; i < chunk.size; i += kThreads) {
      const double p = chunk.parameter[i], u = update(chunk, i);
      weight += p * p;
      change += u * u;
    }
    weight = over_block(weight, Adds{});
    change = over_block(change, Adds{});
    if (threadIdx.x == 0) weights[c] = weight, updates[c] = change;
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    move_by_shares(const StepChunk<T>* chunks, int64_t count, StepOptions step, LambUpdate<T> update,
                   const double* weights, const double* updates) {
  if (left_out(step)) return;
  update.learn();
  for (int64_t c = blockIdx.x; c < count; c += gridDim.x) {
    const StepChunk<T> chunk = chunks[c];
    const double weight = of_tensor(chunks, count, weights, c), change = of_tensor(chunks, count, updates, c);
    const T share = T((weight > 0 && change > 0 ? sqrt(weight) / sqrt(change) : 1) * step.learning_rate);
    for (int64_t i = threadIdx.x; i < chunk.size; i += kThreads) {
      chunk.parameter[i] = chunk.parameter[i] - update(chunk, i) * share;
    }
  }
}

// The factors where the device has to work them out, else nothing.
class LambFactors {
 public:
  explicit LambFactors(AdamOptions o) : memory_(3 * sizeof(double)), known_(o.iteration == nullptr) {
    if (!known_) launch<work_out<>>(dim3(1), dim3(1), 0, current_stream(), Kin::Lamb, o, memory_.as<double>());
  }
  template <typename T>
  LambUpdate<T> update(AdamOptions o) const {
    return {T(o.m_factor), T(o.s_factor), T(o.epsilon), known_ ? nullptr : memory_.as<double>()};
  }

 private:
  Workspace memory_;
  bool known_;
};

template <typename T>
void lamb_moments(StepChunks<T> all, StepOptions step, AdamOptions o, double* weights, double* updates) {
  if (all.count == 0) return;
  each_element(all, step, Moments<T>{T(1 - o.beta_1), T(1 - o.beta_2)});
  const Workspace chunks = on_device(all);
  const LambFactors factors(o);
  launch<sum_lamb_squares<T>>(blocks_for(all.count), dim3(kThreads), 0, current_stream(),
                              static_cast<const StepChunk<T>*>(chunks.as<StepChunk<T>>()), all.count,
                              factors.update<T>(o), weights, updates);
}

template <typename T>
void lamb_step(StepChunks<T> all, StepOptions step, AdamOptions o, const double* weights, const double* updates) {
  if (all.count == 0) return;
  const Workspace chunks = on_device(all);
  const LambFactors factors(o);
  launch<move_by_shares<T>>(blocks_for(all.count), dim3(kThreads), 0, current_stream(),
                            static_cast<const StepChunk<T>*>(chunks.as<StepChunk<T>>()), all.count, step,
                            factors.update<T>(o), weights, updates);
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

}  // namespace RANVIER_GPU
}  // namespace ranvier
