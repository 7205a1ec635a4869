// The activations on vectors, and their slopes: one definition for the activation kernels and for the
// epilogues of dense and convolution.
//
//   with_activation<T>(activation, [&](auto f) { y = f(x); dx = dy * f.slope(saved); });
//
// Largest errors in units in the last place, measured like those of simd_math.h: softplus 4, elu 4, selu 5; silu 6
// where its sigmoid is a normal number.
// gelu carries its argument's rounding into an exponential: 8 + 8 |2u| units (tests/specs/activation.py).
//
// `saved` is the output y where the slope follows from it (slope_from_output), else the input x.
#pragma once

#include "cpu/simd.h"
#include "cpu/simd_math.h"
#include "ops/activation.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// 2 atanh(s) = log((1 + s) / (1 - s)): (atanh(s)/s - 1)/s^2 by s^2 on [0, 1/9], interpolated at Chebyshev points.
template <typename T>
struct Log1pTerms;
template <>
struct Log1pTerms<float> {
  static constexpr float kTerms[] = {0.3333333432674408f, 0.19999852776527405f, 0.142961785197258f, 0.1085328757762909f,
                                     0.11612164974212646f};
};
template <>
struct Log1pTerms<double> {
  static constexpr double kTerms[] = {0x1.5555555555555p-2, 0x1.999999999999cp-3, 0x1.2492492492014p-3,
                                      0x1.c71c71c77ab61p-4, 0x1.745d1725d370ep-4, 0x1.3b13b79e70b0bp-4,
                                      0x1.111042e764d87p-4, 0x1.e203ec2554e07p-5, 0x1.ad4c00a9646bbp-5,
                                      0x1.9718752be5e73p-5, 0x1.03ed89a6e167dp-5, 0x1.378c874a98ecfp-4};
};

// log(1 + e) for e in 0..1 or NaN, within 2 ULP, with s = e / (e + 2).
template <typename T>
RANVIER_INLINE Vec<T> log_one_plus(Vec<T> e) {
  const Vec<T> s = e / (e + T(2)), z = s * s, twice = s + s;
  return fma(twice * z, polynomial<T>(z, Log1pTerms<T>::kTerms), twice);
}

// The sigmoid and what it lacks of 1, which a subtraction would not give near 1: from one exponential.
template <typename T>
struct SigmoidPair {
  Vec<T> value, rest;
};

template <typename T>
RANVIER_INLINE SigmoidPair<T> sigmoid_pair(Vec<T> x) {
  const Vec<T> e = decay(-magnitude<T>(x)), larger = T(1) / (T(1) + e), smaller = e * larger;
  const IntVec<T> negative = x < T(0);
  return {select(negative, smaller, larger), select(negative, larger, smaller)};
}

template <typename T>
struct LinearActivation {
  explicit LinearActivation(double) {}
  RANVIER_INLINE Vec<T> operator()(Vec<T> x) const { return x; }
  RANVIER_INLINE Vec<T> slope(Vec<T>) const { return broadcast<T>(1); }
};

// From y. 0 at 0; a NaN lets the gradient pass, so that it shows.
template <typename T>
struct ReluActivation {
  explicit ReluActivation(double) {}
  RANVIER_INLINE Vec<T> operator()(Vec<T> x) const { return at_least(x, 0); }
  RANVIER_INLINE Vec<T> slope(Vec<T> y) const { return select(y <= T(0), broadcast<T>(0), broadcast<T>(1)); }
};

template <typename T>
struct LeakyReluActivation {
  T alpha;
  explicit LeakyReluActivation(double a) : alpha(T(a)) {}
  RANVIER_INLINE Vec<T> operator()(Vec<T> x) const { return select(x > T(0), x, alpha * x); }
  RANVIER_INLINE Vec<T> slope(Vec<T> x) const { return select(x <= T(0), broadcast<T>(alpha), broadcast<T>(1)); }
};

// scale * (x, or alpha (e^x - 1) where x <= 0); selu is the one whose outputs keep mean 0 and variance 1.
template <typename T>
struct EluActivation {
  T scale, alpha;
  explicit EluActivation(double a, double s = 1) : scale(T(s)), alpha(T(a * s)) {}
  RANVIER_INLINE Vec<T> operator()(Vec<T> x) const { return select(x > T(0), scale * x, alpha * expm1(x)); }
  RANVIER_INLINE Vec<T> slope(Vec<T> x) const { return select(x > T(0), broadcast<T>(scale), alpha * exp(x)); }
};

template <typename T>
struct SeluActivation : EluActivation<T> {
  explicit SeluActivation(double) : EluActivation<T>(1.6732632423543772848, 1.0507009873554804934) {}
};

// Beyond this everything that carries the factor e^-|x| has vanished; clamping keeps Inf * 0 away.
template <typename T>
RANVIER_INLINE Vec<T> where_curved(Vec<T> x) {
  return clamp<T>(x, T(-1000), T(1000));
}

// x * sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3), which is x/2 (1 + tanh(u)) without cancellation.
template <typename T>
struct GeluActivation {
  static constexpr T kTwice = T(1.5957691216057307117), kCubic = T(0.044715);  // 2 sqrt(2/pi)
  explicit GeluActivation(double) {}
  RANVIER_INLINE Vec<T> operator()(Vec<T> x) const {
    const Vec<T> c = where_curved<T>(x);
    return at_least(x, -1000) * sigmoid(kTwice * c * fma(kCubic * c, c, broadcast<T>(1)));
  }
  RANVIER_INLINE Vec<T> slope(Vec<T> x) const {
    const Vec<T> c = where_curved<T>(x), square = c * c;
    const Vec<T> u = kTwice * c * fma(broadcast<T>(kCubic), square, broadcast<T>(1));
    const Vec<T> rate = kTwice * fma(broadcast<T>(3 * kCubic), square, broadcast<T>(1));
    const SigmoidPair<T> s = sigmoid_pair<T>(u);
    return fma(s.value * s.rest * c, rate, s.value);
  }
};

// x Phi(x), with the normal distribution function by erf.
template <typename T>
struct GeluExactActivation {
  explicit GeluExactActivation(double) {}
  static RANVIER_INLINE Vec<T> distribution(Vec<T> x) { return T(0.5) + T(0.5) * erf(x * T(M_SQRT1_2)); }
  RANVIER_INLINE Vec<T> operator()(Vec<T> x) const { return at_least(x, -1000) * distribution(x); }
  RANVIER_INLINE Vec<T> slope(Vec<T> x) const {
    const Vec<T> c = where_curved<T>(x);
    return fma(c * T(0.39894228040143267794), exp(T(-0.5) * c * c), distribution(x));  // 1 / sqrt(2 pi)
  }
};

template <typename T>
struct SiluActivation {
  explicit SiluActivation(double) {}
  RANVIER_INLINE Vec<T> operator()(Vec<T> x) const { return at_least(x, -1000) * sigmoid(x); }
  RANVIER_INLINE Vec<T> slope(Vec<T> x) const {
    const SigmoidPair<T> s = sigmoid_pair<T>(x);
    return fma(s.value * s.rest, where_curved<T>(x), s.value);
  }
};

// log(1 + e^x), without overflow.
template <typename T>
struct SoftplusActivation {
  explicit SoftplusActivation(double) {}
  RANVIER_INLINE Vec<T> operator()(Vec<T> x) const { return at_least(x, 0) + log_one_plus<T>(decay(-magnitude<T>(x))); }
  RANVIER_INLINE Vec<T> slope(Vec<T> x) const { return sigmoid(x); }
};

template <typename T>
struct SigmoidActivation {
  explicit SigmoidActivation(double) {}
  RANVIER_INLINE Vec<T> operator()(Vec<T> x) const { return sigmoid(x); }
  RANVIER_INLINE Vec<T> slope(Vec<T> y) const { return y * (T(1) - y); }
};

template <typename T>
struct TanhActivation {
  explicit TanhActivation(double) {}
  RANVIER_INLINE Vec<T> operator()(Vec<T> x) const { return tanh(x); }
  RANVIER_INLINE Vec<T> slope(Vec<T> y) const { return (T(1) - y) * (T(1) + y); }
};

// Calls body with the function object of the kind; its loop is compiled once for each.
template <typename T, typename Body>
RANVIER_INLINE void with_activation(Activation activation, const Body& body) {
  const double alpha = activation.alpha;
  switch (activation.kind) {
    case ActivationKind::Linear: return body(LinearActivation<T>(alpha));
    case ActivationKind::Relu: return body(ReluActivation<T>(alpha));
    case ActivationKind::LeakyRelu: return body(LeakyReluActivation<T>(alpha));
    case ActivationKind::Elu: return body(EluActivation<T>(alpha));
    case ActivationKind::Selu: return body(SeluActivation<T>(alpha));
    case ActivationKind::Gelu: return body(GeluActivation<T>(alpha));
    case ActivationKind::GeluExact: return body(GeluExactActivation<T>(alpha));
    case ActivationKind::Silu: return body(SiluActivation<T>(alpha));
    case ActivationKind::Softplus: return body(SoftplusActivation<T>(alpha));
    case ActivationKind::Sigmoid: return body(SigmoidActivation<T>(alpha));
    case ActivationKind::Tanh: return body(TanhActivation<T>(alpha));
  }
}

// y = f(x) for n contiguous elements; y may be x. The tail runs through the same vector code.
template <typename T>
void activate(Activation activation, const T* x, T* y, int64_t n) {
  with_activation<T>(activation, [&](const auto& f) {
    int64_t i = 0;
    for (; i + kWidth<T> <= n; i += kWidth<T>) store<T>(y + i, f(load(x + i)));
    if (i < n) store_partial<T>(y + i, f(load_partial(x + i, n - i)), n - i);
  });
}

// dx = dy * slope(saved) for n contiguous elements; dx may be dy. A slope of 0 gives 0, whatever dy is.
template <typename T>
void activate_backward(Activation activation, const T* saved, const T* dy, T* dx, int64_t n) {
  with_activation<T>(activation, [&](const auto& f) {
    const auto chain = [&](Vec<T> s, Vec<T> d) {
      const Vec<T> slope = f.slope(s);
      return select(slope == T(0), slope, slope * d);
    };
    int64_t i = 0;
    for (; i + kWidth<T> <= n; i += kWidth<T>) store<T>(dx + i, chain(load(saved + i), ahead(load(dy + i))));
    if (i < n) store_partial<T>(dx + i, chain(load_partial(saved + i, n - i), load_partial(dy + i, n - i)), n - i);
  });
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
