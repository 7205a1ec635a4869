// Activations: which there are, and their forward and backward kernels.
#pragma once

#include <cstdint>

#include "core/per_type.h"

namespace ranvier {

enum class ActivationKind : uint8_t {
  Linear,
  Relu,
  LeakyRelu,
  Elu,
  Selu,
  Gelu,       // the tanh approximation
  GeluExact,  // x * Phi(x), by erf
  Silu,
  Softplus,
  Sigmoid,
  Tanh,
};

struct Activation {
  ActivationKind kind;
  double alpha;  // slope of leaky_relu, alpha of elu; else unused
};

// Whether the slope follows from the output alone; else backward needs the input.
constexpr bool slope_from_output(ActivationKind kind) {
  return kind == ActivationKind::Linear || kind == ActivationKind::Relu || kind == ActivationKind::Sigmoid ||
         kind == ActivationKind::Tanh;
}

template <typename T>
struct ActivationKernels {
  void (*forward)(Activation activation, const T* x, T* y, int64_t n);
  // saved: y where slope_from_output, else x.
  void (*backward)(Activation activation, const T* saved, const T* dy, T* dx, int64_t n);
  // 1 above the value, 0 below (and for NaN); at the value 1 if inclusive.
  void (*threshold)(const T* x, Wide<T> value, bool inclusive, T* y, int64_t n);
};

}  // namespace ranvier
