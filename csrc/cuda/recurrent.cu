// lstm, gru and simple_rnn over a sequence (lstm_cell, gru_cell, simple_rnn_cell: of one step). x W for all steps is
// one product; then each step is one product h U and one kernel that closes the gates of every unit of every row, lanes
// along the units. Backward the same way round: a kernel gives the gradients of a step's sums, a product takes them to
// the state before; what the weights and x get are products over all steps at once.
#include "ops/recurrent.h"

#include "cuda/activation_math.h"
#include "cuda/launch.h"
#include "ops/gemm.h"

namespace ranvier {
namespace RANVIER_GPU {

extern const PerType<GemmKernels> gemm_kernels;

namespace {

int64_t position_of(const RecurrentSizes& s, int64_t step) { return s.go_backwards ? s.steps - 1 - step : step; }

// One step as its kernel sees it: `position` in x, `step` in the outputs.
struct Step {
  int64_t step, position;
};

__device__ bool is_masked(const RecurrentSizes& s, const bool* mask, int64_t row, int64_t position) {
  return mask != nullptr && !mask[row * s.steps + position];
}

// --- forward --------------------------------------------------------------------------------------------------------

// state = initial, or zeros.
template <typename T>
__global__ void start_from(const T* initial, T* state, int64_t n) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) state[i] = initial == nullptr ? T(0) : initial[i];
}

// What a row's unit has when its step begins: sums of x (with the bias) and of the state, by gate.
template <typename T>
struct Sums {
  const T* of_x;  // (batch, steps, kernel_gates units)
  T* of_h;        // (batch, kernel_gates units): replaced at each step
};

template <typename T>
__device__ void keep_gates(const RecurrentForward<T>& p, int64_t here, int64_t unit, T a, T b, T c, T d) {
  if (p.gates == nullptr) return;
  T* gates = p.gates + here * 4 * p.sizes.units + unit;
  gates[0] = a;
  gates[p.sizes.units] = b;
  gates[2 * p.sizes.units] = c;
  gates[3 * p.sizes.units] = d;
}

template <typename T>
__device__ T advance_lstm(const RecurrentForward<T>& p, const T* x, const T* h, int64_t i, int64_t here, int64_t unit) {
  const int64_t units = p.sizes.units;
  const T before = p.c[i];
  const T in = sigmoid(x[0] + h[0]), forget = sigmoid(x[units] + h[units]);
  const T fresh = tanh(x[2 * units] + h[2 * units]), out = sigmoid(x[3 * units] + h[3 * units]);
  const T after = forget * before + in * fresh;
  p.c[i] = after;
  if (p.c_before != nullptr) p.c_before[here * units + unit] = before;
  keep_gates(p, here, unit, in, forget, fresh, out);
  return out * T(tanh(after));
}

template <typename T>
__device__ T advance_gru(const RecurrentForward<T>& p, const T* x, const T* h, T before, int64_t here, int64_t unit) {
  const int64_t units = p.sizes.units;
  const bool after_product = p.sizes.cell == RecurrentCell::Gru;
  // With the reset before the product, h holds z and r as gates already (close_resets), and the product (r h) U_h.
  const T z = after_product ? sigmoid(x[0] + h[0]) : h[0];
  const T r = after_product ? sigmoid(x[units] + h[units]) : h[units];
  const T product = h[2 * units];
  const T fresh = tanh(after_product ? x[2 * units] + r * product : x[2 * units] + product);
  keep_gates(p, here, unit, z, r, fresh, after_product ? product : r * before);
  return z * before + (T(1) - z) * fresh;
}

template <typename T>
__global__ void advance(RecurrentForward<T> p, Step at, Sums<T> sums) {
  const RecurrentSizes& s = p.sizes;
  const int64_t columns = kernel_gates(s.cell) * s.units;
  for (int64_t i = grid_thread(); i < s.batch * s.units; i += grid_threads()) {
    const int64_t row = i / s.units, unit = i % s.units, here = row * s.steps + at.position;
    T* output = p.outputs + (row * s.steps + at.step) * s.units + unit;
    if (is_masked(s, p.mask, row, at.position)) {
      *output = at.step > 0 ? output[-s.units] : T(0);
      keep_gates(p, here, unit, T(0), T(0), T(0), T(0));  // the weights' gradient multiplies them by zeros
      continue;
    }
    const T* x = sums.of_x + here * columns + unit;
    const T* h = sums.of_h + row * columns + unit;
    switch (s.cell) {
      case RecurrentCell::SimpleRnn: p.h[i] = activated(Activation{s.activation, 0}, x[0] + h[0]); break;
      case RecurrentCell::Lstm: p.h[i] = advance_lstm(p, x, h, i, here, unit); break;
      default: p.h[i] = advance_gru(p, x, h, p.h[i], here, unit); break;
    }
    *output = p.h[i];
  }
}

// reset_after=False, first half: z and r become gates, and r h the left side of the second product.
template <typename T>
__global__ void close_resets(RecurrentForward<T> p, Step at, Sums<T> sums, T* reset) {
  const RecurrentSizes& s = p.sizes;
  const int64_t columns = 3 * s.units;
  for (int64_t i = grid_thread(); i < s.batch * s.units; i += grid_threads()) {
    const int64_t row = i / s.units, unit = i % s.units;
    const T* x = sums.of_x + (row * s.steps + at.position) * columns + unit;
    T* h = sums.of_h + row * columns + unit;
    const T r = sigmoid(x[s.units] + h[s.units]);
    h[0] = sigmoid(x[0] + h[0]);
    h[s.units] = r;
    reset[i] = r * p.h[i];
  }
}

// c = op(a) op(b), columns of larger matrices included.
template <typename T>
void product(const T* a, int64_t lda, bool transpose_a, const T* b, int64_t ldb, bool transpose_b, T* c, int64_t ldc,
             int64_t m, int64_t n, int64_t k, const T* bias = nullptr, bool accumulate = false) {
  GemmArguments<T> g;
  g.transpose_a = transpose_a;
  g.transpose_b = transpose_b;
  g.m = m;
  g.n = n;
  g.k = k;
  g.a = a;
  g.lda = lda;
  g.b = b;
  g.ldb = ldb;
  g.c = c;
  g.ldc = ldc;
  g.bias = bias;
  g.accumulate = accumulate;
  gemm_kernels.template get<T>().gemm(g);
}

template <typename T>
std::size_t bytes_of(int64_t count) {
  return static_cast<std::size_t>(count) * sizeof(T);
}

template <typename T>
void forward(const RecurrentForward<T>& p) {
  const RecurrentSizes& s = p.sizes;
  const int64_t columns = kernel_gates(s.cell) * s.units, states = s.batch * s.units;
  if (states == 0) return;
  const dim3 grid = grid_for(states), threads(kThreads);
  void* stream = current_stream();
  launch<start_from<T>>(grid, threads, 0, stream, p.initial_h, p.h, states);
  if (s.cell == RecurrentCell::Lstm) launch<start_from<T>>(grid, threads, 0, stream, p.initial_c, p.c, states);
  if (s.steps == 0) return;
  const bool resets = s.cell == RecurrentCell::GruResetBefore;
  const Workspace of_x(bytes_of<T>(s.batch * s.steps * columns)), of_h(bytes_of<T>(s.batch * columns));
  const Workspace reset(resets ? bytes_of<T>(states) : 0);
  const Sums<T> sums{of_x.as<T>(), of_h.as<T>()};
  product(p.x, s.inputs, false, p.kernel, columns, false, of_x.as<T>(), columns, s.batch * s.steps, columns, s.inputs,
          p.bias);
  for (int64_t step = 0; step < s.steps; ++step) {
    const Step at{step, position_of(s, step)};
    const int64_t first = resets ? 2 * s.units : columns;
    product<T>(p.h, s.units, false, p.recurrent_kernel, columns, false, sums.of_h, columns, s.batch, first, s.units,
               p.recurrent_bias);
    if (resets) {
      launch<close_resets<T>>(grid, threads, 0, stream, p, at, sums, reset.as<T>());
      product<T>(reset.as<T>(), s.units, false, p.recurrent_kernel + first, columns, false, sums.of_h + first, columns,
                 s.batch, s.units, s.units);
    }
    launch<advance<T>>(grid, threads, 0, stream, p, at, sums);
  }
}

// --- backward -------------------------------------------------------------------------------------------------------

// The first step of each row that is not masked: before it the state is the initial one.
__global__ void find_starts(RecurrentSizes s, const bool* mask, int64_t* starts) {
  for (int64_t row = grid_thread(); row < s.batch; row += grid_threads()) {
    int64_t step = 0;
    while (step < s.steps && is_masked(s, mask, row, s.go_backwards ? s.steps - 1 - step : step)) ++step;
    starts[row] = step;
  }
}

template <typename T>
__device__ T state_before(const RecurrentBackward<T>& p, const int64_t* starts, int64_t row, int64_t step,
                          int64_t unit) {
  if (step > starts[row]) return p.outputs[(row * p.sizes.steps + step - 1) * p.sizes.units + unit];
  return p.initial_h == nullptr ? T(0) : p.initial_h[row * p.sizes.units + unit];
}

template <typename T>
struct Retreat {
  RecurrentBackward<T> p;
  const int64_t* starts;
  T* carried;  // gradients of masked steps' outputs, which repeat the one before
};

template <typename T>
__device__ T retreat_lstm(const RecurrentBackward<T>& p, T to_h, const T* gates, T* sums, int64_t i, int64_t here,
                          int64_t unit) {
  const int64_t units = p.sizes.units;
  const T in = gates[0], forget = gates[units], fresh = gates[2 * units], out = gates[3 * units];
  const T before = p.c_before[here * units + unit];
  const T squashed = tanh(forget * before + in * fresh);
  const T to_c = to_h * out * (T(1) - squashed * squashed) + p.dc[i];
  sums[0] = to_c * fresh * in * (T(1) - in);
  sums[units] = to_c * before * forget * (T(1) - forget);
  sums[2 * units] = to_c * in * (T(1) - fresh * fresh);
  sums[3 * units] = to_h * squashed * out * (T(1) - out);
  p.dc[i] = to_c * forget;
  return T(0);
}

template <typename T>
__device__ T retreat_gru(const RecurrentBackward<T>& p, T to_h, const T* gates, T* sums, T before) {
  const int64_t units = p.sizes.units;
  const T z = gates[0], r = gates[units], fresh = gates[2 * units];
  const T of_h = to_h * (T(1) - z) * (T(1) - fresh * fresh);
  sums[0] = to_h * (before - fresh) * z * (T(1) - z);
  sums[2 * units] = of_h;
  if (p.sizes.cell == RecurrentCell::Gru) {
    sums[units] = of_h * gates[3 * units] * r * (T(1) - r);
    sums[3 * units] = of_h * r;
  }
  return to_h * z;
}

// From the gradients of the state after a step to those of its sums; dh becomes what the state before gets directly.
template <typename T>
__global__ void retreat(Retreat<T> back, Step at) {
  const RecurrentBackward<T>& p = back.p;
  const RecurrentSizes& s = p.sizes;
  const int64_t columns = sum_gradients(s.cell);
  for (int64_t i = grid_thread(); i < s.batch * s.units; i += grid_threads()) {
    const int64_t row = i / s.units, unit = i % s.units, here = row * s.steps + at.position;
    const int64_t output = (row * s.steps + at.step) * s.units + unit;
    T* sums = p.sums + here * columns * s.units + unit;
    if (is_masked(s, p.mask, row, at.position)) {
      for (int64_t gate = 0; gate < columns; ++gate) sums[gate * s.units] = T(0);
      back.carried[i] += p.output_gradients[output];
      continue;
    }
    const T to_h = p.dh[i] + p.output_gradients[output] + back.carried[i];
    back.carried[i] = T(0);
    const T* gates = p.gates == nullptr ? nullptr : p.gates + here * 4 * s.units + unit;
    switch (s.cell) {
      case RecurrentCell::SimpleRnn:
        sums[0] = to_h * slope_at(Activation{s.activation, 0}, p.outputs[output]);
        p.dh[i] = T(0);
        break;
      case RecurrentCell::Lstm: p.dh[i] = retreat_lstm(p, to_h, gates, sums, i, here, unit); break;
      default: p.dh[i] = retreat_gru(p, to_h, gates, sums, state_before(p, back.starts, row, at.step, unit)); break;
    }
  }
}

// reset_after=False, second half: `product` is the gradient of r h.
template <typename T>
__global__ void retreat_resets(Retreat<T> back, Step at, const T* product) {
  const RecurrentBackward<T>& p = back.p;
  const RecurrentSizes& s = p.sizes;
  for (int64_t i = grid_thread(); i < s.batch * s.units; i += grid_threads()) {
    const int64_t row = i / s.units, unit = i % s.units, here = row * s.steps + at.position;
    if (is_masked(s, p.mask, row, at.position)) continue;
    const T r = p.gates[(here * 4 + 1) * s.units + unit], before = state_before(p, back.starts, row, at.step, unit);
    p.sums[(here * 3 + 1) * s.units + unit] = product[i] * before * r * (T(1) - r);
    p.dh[i] += product[i] * r;
  }
}

template <typename T>
__global__ void keep_states(Retreat<T> back) {
  const RecurrentSizes& s = back.p.sizes;
  for (int64_t i = grid_thread(); i < s.batch * s.steps * s.units; i += grid_threads()) {
    const int64_t unit = i % s.units, position = i / s.units % s.steps, row = i / s.units / s.steps;
    const int64_t step = s.go_backwards ? s.steps - 1 - position : position;
    back.p.states[i] = state_before(back.p, back.starts, row, step, unit);
  }
}

// Gru's two biases: beside x the sums z, r, h; beside U the last is another.
template <typename T>
__global__ void part_biases(const T* all, T* biases, int64_t units) {
  for (int64_t i = grid_thread(); i < 6 * units; i += grid_threads()) {
    biases[i] = all[i < 3 * units ? i : i < 5 * units ? i - 3 * units : i - 2 * units];
  }
}

// The step's dh += sums U^T, and gru's r h before it.
template <typename T>
void multiply_back(const Retreat<T>& back, Step at, T* reset) {
  const RecurrentBackward<T>& p = back.p;
  const RecurrentSizes& s = p.sizes;
  const int64_t columns = kernel_gates(s.cell) * s.units, width = sum_gradients(s.cell) * s.units;
  const T* sums = p.sums + at.position * width;
  const int64_t stride = s.steps * width, last = 2 * s.units;
  const bool gru = s.cell == RecurrentCell::Gru || s.cell == RecurrentCell::GruResetBefore;
  if (s.cell == RecurrentCell::GruResetBefore) {
    product<T>(sums + last, stride, false, p.recurrent_kernel + last, columns, true, reset, s.units, s.batch, s.units,
               s.units);
    launch<retreat_resets<T>>(grid_for(s.batch * s.units), dim3(kThreads), 0, current_stream(), back, at,
                              static_cast<const T*>(reset));
  }
  product<T>(sums, stride, false, p.recurrent_kernel, columns, true, p.dh, s.units, s.batch, s.units,
             gru ? last : columns, nullptr, true);
  if (s.cell == RecurrentCell::Gru) {
    product<T>(sums + 3 * s.units, stride, false, p.recurrent_kernel + last, columns, true, p.dh, s.units, s.batch,
               s.units, s.units, nullptr, true);
  }
}

template <typename T>
void recurrent_weights(const RecurrentBackward<T>& p) {
  const RecurrentSizes& s = p.sizes;
  const int64_t u = s.units, rows = s.batch * s.steps, columns = kernel_gates(s.cell) * u;
  const int64_t width = sum_gradients(s.cell) * u;
  const auto of = [&](const T* left, int64_t lda, int64_t from, int64_t count, int64_t to) {
    product<T>(left, lda, true, p.sums + from, width, false, p.recurrent_kernel_gradient + to, columns, u, count, rows);
  };
  switch (s.cell) {
    case RecurrentCell::Gru:
      of(p.states, u, 0, 2 * u, 0);
      of(p.states, u, 3 * u, u, 2 * u);
      break;
    case RecurrentCell::GruResetBefore:
      of(p.states, u, 0, 2 * u, 0);
      of(p.gates + 3 * u, 4 * u, 2 * u, u, 2 * u);
      break;
    default: of(p.states, u, 0, columns, 0); break;
  }
}

template <typename T>
void weight_gradients(const RecurrentBackward<T>& p) {
  const RecurrentSizes& s = p.sizes;
  const int64_t rows = s.batch * s.steps, columns = kernel_gates(s.cell) * s.units;
  const int64_t width = sum_gradients(s.cell) * s.units;
  if (p.kernel_gradient != nullptr) {
    product<T>(p.x, s.inputs, true, p.sums, width, false, p.kernel_gradient, columns, s.inputs, columns, rows);
  }
  if (p.recurrent_kernel_gradient != nullptr) recurrent_weights(p);
  if (p.dx != nullptr) {
    product<T>(p.sums, width, false, p.kernel, columns, true, p.dx, s.inputs, rows, s.inputs, columns);
  }
  if (p.bias_gradient == nullptr) return;
  const auto& gemm = gemm_kernels.template get<T>();
  if (s.cell != RecurrentCell::Gru) return gemm.column_sums(p.sums, rows, width, p.bias_gradient);
  const Workspace all(bytes_of<T>(width));
  gemm.column_sums(p.sums, rows, width, all.as<T>());
  launch<part_biases<T>>(grid_for(6 * s.units), dim3(kThreads), 0, current_stream(), static_cast<const T*>(all.as<T>()),
                         p.bias_gradient, s.units);
}

template <typename T>
void backward(const RecurrentBackward<T>& p) {
  const RecurrentSizes& s = p.sizes;
  const int64_t states = s.batch * s.units;
  const dim3 grid = grid_for(states), threads(kThreads);
  void* stream = current_stream();
  const Workspace starts(bytes_of<int64_t>(s.batch)), carried(bytes_of<T>(states));
  const Workspace reset(s.cell == RecurrentCell::GruResetBefore ? bytes_of<T>(states) : 0);
  const Retreat<T> back{p, starts.as<int64_t>(), carried.as<T>()};
  if (states > 0 && s.steps > 0) {
    launch<find_starts>(grid_for(s.batch), threads, 0, stream, s, p.mask, starts.as<int64_t>());
    launch<start_from<T>>(grid, threads, 0, stream, static_cast<const T*>(nullptr), carried.as<T>(), states);
    for (int64_t step = s.steps - 1; step >= 0; --step) {
      const Step at{step, position_of(s, step)};
      launch<retreat<T>>(grid, threads, 0, stream, back, at);
      multiply_back(back, at, reset.as<T>());
    }
    if (p.states != nullptr) launch<keep_states<T>>(grid_for(states * s.steps), threads, 0, stream, back);
  }
  weight_gradients(p);
}

}  // namespace

extern const PerType<RecurrentKernels> recurrent_kernels;
const PerType<RecurrentKernels> recurrent_kernels = {{forward<float>, backward<float>},
                                                     {forward<double>, backward<double>}};

}  // namespace RANVIER_GPU
}  // namespace ranvier
