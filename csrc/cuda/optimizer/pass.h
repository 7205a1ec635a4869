// The pass that all optimizers share, and the factors of Adam's kin where the device has to work them out.
#pragma once

#include "cuda/rows.h"
#include "ops/optimizer.h"

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

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier
