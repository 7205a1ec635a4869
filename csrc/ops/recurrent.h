// Long short-term memory over a whole sequence (curriculum F44; gates in Keras' order i, f, g, o):
//   z_t = x_t W + h_{t-1} U + b        i, f, o = sigmoid(z), g = tanh(z)
//   c_t = f c_{t-1} + i g              h_t = o tanh(c_t)
// lstm_cell is a sequence of one step. A masked step leaves h and c as they are and repeats the previous output (zeros
// before the first).
#pragma once

#include <cstdint>

#include "core/per_type.h"

namespace ranvier {

struct LstmSizes {
  int64_t batch;
  int64_t steps;
  int64_t inputs;
  int64_t units;
  bool go_backwards;  // step s reads x at steps - 1 - s; outputs are in the order of steps
};

// Arrays over time are (batch, steps, ...). `gates`, `h_before` and `c_before` are indexed by the position in
// x (not by the step), so that the weights' gradients are products over all rows at once.
template <typename T>
struct LstmForward {
  LstmSizes sizes;
  const T* x;
  const T* kernel;            // (inputs, 4 units)
  const T* recurrent_kernel;  // (units, 4 units)
  const T* bias;              // (4 units), or null
  const bool* mask;           // (batch, steps), or null
  T* h;                       // (batch, units): initial state in, final state out
  T* c;
  T* outputs;   // (batch, steps, units)
  T* gates;     // (batch, steps, 4 units): i, f, g, o after their activations (masked steps: anything)
  T* h_before;  // (batch, steps, units): the states that each step started from
  T* c_before;
};

template <typename T>
struct LstmBackward {
  LstmSizes sizes;
  const T* recurrent_kernel;
  const bool* mask;
  const T* gates;
  const T* c_before;
  const T* output_gradients;  // (batch, steps, units)
  T* transposed;              // workspace (4 units, units)
  T* carried;                 // workspace (batch, units): gradient of a masked step's output, on its way back
  T* dh;                      // (batch, units): gradient of the final state in, of the initial state out
  T* dc;
  T* dz;  // (batch, steps, 4 units): what the gradients of x, kernels and bias are products of
};

template <typename T>
struct RecurrentKernels {
  void (*lstm_forward)(const LstmForward<T>& p);
  void (*lstm_backward)(const LstmBackward<T>& p);
};

}  // namespace ranvier
