// Recurrent layers over a whole sequence (curriculum F44), in Keras' conventions; lstm_cell, gru_cell and
// simple_rnn_cell are sequences of one step.
//
//   simple_rnn  h_t = f(x_t W + h_{t-1} U + b)
//   lstm        gates i, f, g, o:  i, f, o = sigmoid, g = tanh of x_t W + h_{t-1} U + b
//               c_t = f c_{t-1} + i g     h_t = o tanh(c_t)
//   gru         gates z, r, h:  z, r = sigmoid(x_t W + h_{t-1} U + b + b')
//               h = tanh(x_t W_h + b_h + r (h_{t-1} U_h + b'_h))     reset_after, the default
//               h = tanh(x_t W_h + b_h + (r h_{t-1}) U_h)            else: one bias only
//               h_t = z h_{t-1} + (1 - z) h
//
// A masked step leaves the states as they are and repeats the previous output (zeros before the first).
#pragma once

#include <cstdint>

#include "core/per_type.h"
#include "ops/activation.h"

namespace ranvier {

enum class RecurrentCell : uint8_t { SimpleRnn, Lstm, Gru, GruResetBefore };

// How many gates' columns the kernels hold.
constexpr int64_t kernel_gates(RecurrentCell cell) {
  return cell == RecurrentCell::SimpleRnn ? 1 : cell == RecurrentCell::Lstm ? 4 : 3;
}

// What the gradient needs of each step beside the outputs, in units: lstm i, f, g, o; gru z, r, h and its last
// factor, h_{t-1} U_h + b'_h (or r h_{t-1}).
constexpr int64_t saved_gates(RecurrentCell cell) { return cell == RecurrentCell::SimpleRnn ? 0 : 4; }

// Gradients of each step's sums, in units. gru with reset_after has two of the gate h: beside x and beside U.
constexpr int64_t sum_gradients(RecurrentCell cell) { return cell == RecurrentCell::Gru ? 4 : kernel_gates(cell); }

struct RecurrentSizes {
  RecurrentCell cell;
  ActivationKind activation;  // of simple_rnn
  int64_t batch;
  int64_t steps;
  int64_t inputs;
  int64_t units;
  bool go_backwards;  // step s reads x at steps - 1 - s; outputs are in the order of steps
};

// Arrays over time are (batch, steps, ...). `gates` and `c_before` are indexed by the position in x (not by the
// step), so that the weights' gradients are products over all rows at once.
template <typename T>
struct RecurrentForward {
  RecurrentSizes sizes;
  const T* x;
  const T* kernel;            // (inputs, kernel_gates units)
  const T* recurrent_kernel;  // (units, kernel_gates units)
  const T* bias;              // (kernel_gates units), or null
  const T* recurrent_bias;    // the same beside the recurrent kernel (Gru), or null
  const bool* mask;           // (batch, steps), or null
  const T* initial_h;         // (batch, units), or null: zeros
  const T* initial_c;
  T* outputs;   // (batch, steps, units)
  T* h;         // (batch, units): final states
  T* c;         // lstm's
  T* gates;     // (batch, steps, saved_gates units), or null: no gradient follows. Masked steps:
                // anything, but zeros for r h of GruResetBefore, which meets gradients of zero in a product
  T* c_before;  // (batch, steps, units): the c that each step of lstm started from; null with `gates`
};

// Null for a gradient that is not wanted.
template <typename T>
struct RecurrentBackward {
  RecurrentSizes sizes;
  const T* x;
  const T* kernel;
  const T* recurrent_kernel;
  const bool* mask;
  const T* initial_h;
  const T* outputs;
  const T* gates;
  const T* c_before;
  const T* output_gradients;  // (batch, steps, units)
  T* sums;                    // workspace (batch, steps, sum_gradients units)
  T* states;                  // workspace (batch, steps, units), or null without `recurrent_kernel_gradient`
  T* dh;                      // (batch, units): gradient of the final state in, of the initial state out
  T* dc;
  T* dx;
  T* kernel_gradient;
  T* recurrent_kernel_gradient;
  T* bias_gradient;  // (kernel_gates units); for Gru (2, kernel_gates units)
};

template <typename T>
struct RecurrentKernels {
  void (*forward)(const RecurrentForward<T>& p);
  void (*backward)(const RecurrentBackward<T>& p);
};

}  // namespace ranvier
