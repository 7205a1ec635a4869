// The activations and their slopes, for their own kernels and for the epilogues of dense and convolution. Which one is
// an argument of the kernel: all lanes take the same branch, which costs next to nothing beside the memory.
//
// `saved` is the output y where the slope follows from it (slope_from_output), else the input x.
#pragma once

#include "cuda/numbers.h"
#include "ops/activation.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// The sigmoid and what it lacks of 1, which a subtraction would not give near 1: from one exponential that cannot
// overflow.
template <typename T>
struct SigmoidPair {
  T value, rest;
};

template <typename T>
__device__ SigmoidPair<T> sigmoid_pair(T x) {
  const T e = exp(-fabs(x)), large = T(1) / (T(1) + e), small = e * large;
  return x < T(0) ? SigmoidPair<T>{small, large} : SigmoidPair<T>{large, small};
}
template <typename T>
__device__ T sigmoid(T x) {
  return sigmoid_pair(x).value;
}

template <typename T>
__device__ T softplus(T x) {
  return larger(x, T(0)) + T(log1p(exp(-fabs(x))));
}

constexpr double kSeluScale = 1.0507009873554804934, kSeluAlpha = 1.6732632423543772848;
constexpr double kGeluTwice = 1.5957691216057307117, kGeluCubic = 0.044715;  // 2 sqrt(2/pi)

template <typename T>
__device__ T normal_distribution(T x) {
  return T(0.5) + T(0.5) * T(erf(x * T(0.70710678118654752440)));
}

// Beyond this everything that carries the factor e^-|x| has vanished; clamping keeps Inf * 0 away.
template <typename T>
__device__ T where_curved(T x) {
  return smaller(larger(x, T(-1000)), T(1000));
}

template <typename T>
__device__ T elu(T x, double alpha, double scale) {
  return x > T(0) ? T(scale) * x : T(alpha * scale) * T(expm1(x));
}
template <typename T>
__device__ T elu_slope(T x, double alpha, double scale) {
  return x > T(0) ? T(scale) : T(alpha * scale) * T(exp(x));
}

template <typename T>
__device__ T gelu(T x) {
  const T c = where_curved(x);
  return larger(x, T(-1000)) * sigmoid(T(kGeluTwice) * c * (T(kGeluCubic) * c * c + T(1)));
}
template <typename T>
__device__ T gelu_slope(T x) {
  const T c = where_curved(x), square = c * c;
  const SigmoidPair<T> s = sigmoid_pair(T(kGeluTwice) * c * (T(kGeluCubic) * square + T(1)));
  return s.value * s.rest * c * (T(kGeluTwice) * (T(3 * kGeluCubic) * square + T(1))) + s.value;
}

template <typename T>
__device__ T gelu_exact_slope(T x) {
  const T c = where_curved(x);
  return c * T(0.39894228040143267794) * T(exp(T(-0.5) * c * c)) + normal_distribution(x);  // 1 / sqrt(2 pi)
}

template <typename T>
__device__ T silu_slope(T x) {
  const SigmoidPair<T> s = sigmoid_pair(x);
  return s.value * s.rest * where_curved(x) + s.value;
}

template <typename T>
__device__ T activated(Activation activation, T x) {
  switch (activation.kind) {
    case ActivationKind::Linear: return x;
    case ActivationKind::Relu: return larger(x, T(0));
    case ActivationKind::LeakyRelu: return x > T(0) ? x : T(activation.alpha) * x;
    case ActivationKind::Elu: return elu(x, activation.alpha, 1);
    case ActivationKind::Selu: return elu(x, kSeluAlpha, kSeluScale);
    case ActivationKind::Gelu: return gelu(x);
    case ActivationKind::GeluExact: return larger(x, T(-1000)) * normal_distribution(x);
    case ActivationKind::Silu: return larger(x, T(-1000)) * sigmoid(x);
    case ActivationKind::Softplus: return softplus(x);
    case ActivationKind::Sigmoid: return sigmoid(x);
    case ActivationKind::Tanh: return T(tanh(x));
  }
  return x;
}

// relu: 0 at 0; a NaN lets the gradient pass, so that it shows.
template <typename T>
__device__ T slope_at(Activation activation, T saved) {
  switch (activation.kind) {
    case ActivationKind::Linear: return T(1);
    case ActivationKind::Relu: return saved <= T(0) ? T(0) : T(1);
    case ActivationKind::LeakyRelu: return saved <= T(0) ? T(activation.alpha) : T(1);
    case ActivationKind::Elu: return elu_slope(saved, activation.alpha, 1);
    case ActivationKind::Selu: return elu_slope(saved, kSeluAlpha, kSeluScale);
    case ActivationKind::Gelu: return gelu_slope(saved);
    case ActivationKind::GeluExact: return gelu_exact_slope(saved);
    case ActivationKind::Silu: return silu_slope(saved);
    case ActivationKind::Softplus: return sigmoid(saved);
    case ActivationKind::Sigmoid: return saved * (T(1) - saved);
    case ActivationKind::Tanh: return (T(1) - saved) * (T(1) + saved);
  }
  return T(1);
}

// dy * slope; a slope of 0 gives 0, whatever dy is.
template <typename T>
__device__ T chained(Activation activation, T saved, T dy) {
  const T slope = slope_at(activation, saved);
  return slope == T(0) ? slope : slope * dy;
}

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier
