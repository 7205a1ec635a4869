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

template <typename T>
struct ActivationKernels {};

}  // namespace ranvier
