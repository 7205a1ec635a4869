// Weights in panels of up to two vectors of output channels, whichever way they lie.
#pragma once

#include "cpu/conv2d/correlation.h"
#include "cpu/gemm/pack.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// The input channels begin..begin+count of one tap, as rows of `width` output channels, zeros after `columns`.
// tap: at input channel 0 and the panel's first output channel.
template <typename T>
void pack_tap(const WeightStrides& strides, const T* tap, int64_t begin, int64_t count, int64_t columns, int64_t width,
              T* out) {
  if (strides.out == 1) {
    pack_rows(tap + begin * strides.in, strides.in, count, columns, width, out);
  } else if (strides.in == 1) {  // a rotated kernel
    pack_transposed(tap + begin, strides.out, count, columns, width, out);
  } else {
    for (int64_t k = 0; k < count; ++k, out += width) {
      for (int64_t o = 0; o < width; ++o) {
        out[o] = o < columns ? tap[(begin + k) * strides.in + o * strides.out] : T(0);
      }
    }
  }
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
