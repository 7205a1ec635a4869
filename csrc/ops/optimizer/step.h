// How every optimizer step runs: checked lists cut into chunks, gradients clipped, one call of the kernel.
#pragma once

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "core/dispatch.h"
#include "ops/optimizer.h"
#include "ops/optimizer/lists.h"

namespace ranvier {

// Checked to be writable; a list of arrays stands for the tensors, not for their values.
template <typename T>
inline T* writable(const Array& array) {
  return const_cast<T*>(array.data<T>());
}

template <typename T>
std::vector<StepChunk<T>> chunks_of(const Lists& lists, const std::vector<double>& decays) {
  std::vector<StepChunk<T>> chunks;
  chunks.reserve(lists.parameters.arrays.size());
  for (std::size_t i = 0; i < lists.parameters.arrays.size(); ++i) {
    const Array& parameter = lists.parameters.arrays[i];
    for (int64_t at = 0; at < parameter.size(); at += kStepChunk) {
      StepChunk<T> chunk{writable<T>(parameter) + at,
                         lists.gradients.arrays[i].data<T>() + at,
                         {},
                         std::min(kStepChunk, parameter.size() - at),
                         decays.empty() ? 0.0 : decays[i],
                         static_cast<int64_t>(i)};
      for (std::size_t s = 0; s < lists.slots.size(); ++s) {
        chunk.slots[s] = writable<T>(lists.slots[s].arrays[i]) + at;
      }
      chunks.push_back(chunk);
    }
  }
  return chunks;
}

template <typename T>
StepChunks<T> view_of(const std::vector<StepChunk<T>>& chunks) {
  int64_t elements = 1;
  for (const StepChunk<T>& chunk : chunks) elements += chunk.size;
  const int64_t count = static_cast<int64_t>(chunks.size());
  return {chunks.data(), count, std::max<int64_t>(1, kStepChunk * count / elements)};  // small tensors travel together
}

// Checks, chunks, clips, and calls kernel(kernels, chunks, options) on the device's kernels.
template <typename Kernel>
void step(Lists lists, Common options, Kernel kernel) {
  check_lists(lists);
  for (const Array& parameter : lists.parameters.arrays) parameter.bump_version();
  for (const NamedList& slot : lists.slots) {
    for (const Array& array : slot.arrays) array.bump_version();
  }
  if (lists.parameters.arrays.empty()) return;
  const char* op = lists.op;
  const Array first = lists.parameters.arrays.front();
  dispatch(op, first,
           [lists = std::move(lists), options = std::move(options), kernel](const KernelTable& kernels, auto type) {
             using T = decltype(type);
             const OptimizerKernels<T>& optimizer = kernels.optimizer.template get<T>();
             std::vector<StepChunk<T>> chunks = chunks_of<T>(lists, options.weight_decays);
             const Clipping& clipping = options.clipping;
             StepChunks<T> all = view_of(chunks);
             const double* scale = clipping.gradient_scale ? clipping.gradient_scale->data<double>() : nullptr;
             std::optional<Array> scales;
             if (clipping.norm || clipping.global_norm) {
               const Device device = lists.parameters.arrays.front().device();
               const Array sums = Array::empty({all.count}, DType::Float64, device);
               scales = Array::empty({all.count}, DType::Float64, device);
               const bool global = clipping.global_norm.has_value();
               optimizer.sums_of_squares(all, writable<double>(sums));
               optimizer.clip_scales(all, sums.data<double>(),
                                     {global ? *clipping.global_norm : *clipping.norm, global, scale},
                                     writable<double>(*scales));
               all.scales = scales->data<double>();
             }
             const double infinity = std::numeric_limits<double>::infinity();
             kernel(optimizer, all, StepOptions{options.learning_rate.now(), clipping.value.value_or(infinity), scale});
           });
}

}  // namespace ranvier
