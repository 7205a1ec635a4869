// The pass that all optimizers share: load, clip, decay, update, store.
#pragma once

#include "cpu/simd.h"
#include "ops/optimizer.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

template <typename T>
Vec<T> constant(double value) {
  return broadcast(T(value));
}

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

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
