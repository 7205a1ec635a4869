// Convolution of few taps, as a picture of one channel has them.
#pragma once

#include "cpu/conv2d/correlation.h"

namespace ranvier {
namespace RANVIER_ISA {

// Products per output that have a kernel of their own: as many weights stay in registers.
constexpr int64_t kFewTaps = 9;

// A row of output pixels, one panel of output channels.
template <typename T>
struct FewTapsRow {
  const T* source;
  int64_t source_step;     // between pixels
  const int64_t* offsets;  // of each tap and input channel from the pixel's first
  const T* bias;           // the panel: the bias, then a row of weights per offset
  int64_t width;           // of the panel's rows
  int64_t columns;         // of them in use
  T* output;
  int64_t output_step;
  int64_t pixels;
  bool relu;
};

template <typename T>
using FewTapsFunction = void (*)(const FewTapsRow<T>&);

// For 1..kFewTaps offsets; `type` only chooses the overload.
FewTapsFunction<float> few_taps(float type, int64_t offsets);
FewTapsFunction<double> few_taps(double type, int64_t offsets);

}  // namespace RANVIER_ISA
}  // namespace ranvier
