// Norms of gradients and what follows from them: clipping, the decision on a scaled loss, Lamb.
#pragma once

#include "cuda/optimizer/pass.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

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

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier
