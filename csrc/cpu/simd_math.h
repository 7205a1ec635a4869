// Transcendental functions on Vec<T>: exp, log, tanh, sigmoid, erf.
// Provisional: one lane at a time through libm, until the polynomials stand here.
#pragma once

#include <math.h>

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// clang-format off
#define RANVIER_LANEWISE(name, body)                                                     \
  RANVIER_INLINE Vec<float> name(Vec<float> v) {                                         \
    for (int i = 0; i < kWidth<float>; ++i) { const double x = v[i]; v[i] = float(body); } \
    return v;                                                                            \
  }                                                                                      \
  RANVIER_INLINE Vec<double> name(Vec<double> v) {                                       \
    for (int i = 0; i < kWidth<double>; ++i) { const double x = v[i]; v[i] = body; }     \
    return v;                                                                            \
  }
RANVIER_LANEWISE(exp, ::exp(x))
RANVIER_LANEWISE(log, ::log(x))
RANVIER_LANEWISE(tanh, ::tanh(x))
RANVIER_LANEWISE(erf, ::erf(x))
RANVIER_LANEWISE(sigmoid, 1.0 / (1.0 + ::exp(-x)))
#undef RANVIER_LANEWISE
// clang-format on

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
