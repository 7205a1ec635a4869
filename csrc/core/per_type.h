// A family's kernel structs by dtype.
#pragma once

#include "core/dtype.h"

namespace ranvier {

template <template <typename> class Kernels>
struct PerType {
  Kernels<float> f32;
  Kernels<double> f64;
  // On GPUs, of the families that dispatch_narrow() serves; elsewhere empty.
  Kernels<Float16> f16 = {};
  Kernels<BFloat16> bf16 = {};

  template <typename T>
  const Kernels<T>& get() const;
};

// clang-format off
template <template <typename> class Kernels>
const Kernels<float>& get_kernels(const PerType<Kernels>& pair, float) { return pair.f32; }
template <template <typename> class Kernels>
const Kernels<double>& get_kernels(const PerType<Kernels>& pair, double) { return pair.f64; }
template <template <typename> class Kernels>
const Kernels<Float16>& get_kernels(const PerType<Kernels>& pair, Float16) { return pair.f16; }
template <template <typename> class Kernels>
const Kernels<BFloat16>& get_kernels(const PerType<Kernels>& pair, BFloat16) { return pair.bf16; }
// clang-format on

template <template <typename> class Kernels>
template <typename T>
const Kernels<T>& PerType<Kernels>::get() const {
  return get_kernels(*this, T{});
}

}  // namespace ranvier
