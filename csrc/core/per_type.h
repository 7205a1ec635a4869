// A pair of kernel structs, for float32 and float64.
#pragma once

namespace ranvier {

template <template <typename> class Kernels>
struct PerType {
  Kernels<float> f32;
  Kernels<double> f64;

  template <typename T>
  const Kernels<T>& get() const;
};

// clang-format off
template <template <typename> class Kernels>
const Kernels<float>& get_kernels(const PerType<Kernels>& pair, float) { return pair.f32; }
template <template <typename> class Kernels>
const Kernels<double>& get_kernels(const PerType<Kernels>& pair, double) { return pair.f64; }
// clang-format on

template <template <typename> class Kernels>
template <typename T>
const Kernels<T>& PerType<Kernels>::get() const {
  return get_kernels(*this, T{});
}

}  // namespace ranvier
