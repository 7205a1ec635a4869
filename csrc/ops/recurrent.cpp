#include "ops/recurrent.h"

#include <array>
#include <cstring>
#include <string>
#include <tuple>

#include "core/checks.h"
#include "core/device_memory.h"
#include "core/dispatch.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

using OptionalArray = std::optional<Array>;
using Needs = std::array<bool, 4>;  // gradients of x, kernel, recurrent_kernel and bias

const char* gates_text(int64_t gates) { return gates == 1 ? "units" : gates == 3 ? "3 * units" : "4 * units"; }

// x (N, T, I), kernel (I, gates H), recurrent_kernel (H, gates H); the sizes they agree on.
RecurrentSizes sizes_of(const char* op, RecurrentCell cell, const Array& x, const Array& kernel,
                        const Array& recurrent_kernel, bool go_backwards) {
  check_floating(op, "x", x);
  check_alike(op, {{"x", x}, {"kernel", kernel}, {"recurrent_kernel", recurrent_kernel}});
  check_rank(op, "x", x, 3);
  check_rank(op, "kernel", kernel, 2);
  check_rank(op, "recurrent_kernel", recurrent_kernel, 2);
  const int64_t units = recurrent_kernel.shape(0), gates = kernel_gates(cell);
  if (recurrent_kernel.shape(1) % gates != 0 || recurrent_kernel.shape(1) / gates != units) {
    throw ValueError(message(op, ": recurrent_kernel must have shape (units, ", gates_text(gates), ") but has shape ",
                             shape_text(recurrent_kernel.shape())));
  }
  check_positive(op, "units (rows of recurrent_kernel)", units);
  if (kernel.shape(0) != x.shape(2)) {
    throw ValueError(message(op, ": kernel has ", kernel.shape(0), " input features (shape ",
                             shape_text(kernel.shape()), ") but x has ", x.shape(2), " (shape ", shape_text(x.shape()),
                             ")"));
  }
  check_shape(op, "kernel", kernel, {x.shape(2), gates * units});
  return {cell, ActivationKind::Tanh, x.shape(0), x.shape(1), x.shape(2), units, go_backwards};
}

void check_optional(const char* op, const char* name, const OptionalArray& array, const Array& x, const Shape& shape) {
  if (!array) return;
  check_alike(op, {{"x", x}, {name, *array}});
  check_shape(op, name, *array, shape);
}

void check_mask(const char* op, const OptionalArray& mask, const Array& x) {
  if (!mask) return;
  check_same_device(op, {{"x", x}, {"mask", *mask}});
  check_dtype(op, "mask", *mask, DType::Bool);
  check_shape(op, "mask", *mask, {x.shape(0), x.shape(1)});
}

ActivationKind activation_named(const std::string& name) {
  if (name == "tanh") return ActivationKind::Tanh;
  if (name == "relu") return ActivationKind::Relu;
  if (name == "sigmoid") return ActivationKind::Sigmoid;
  if (name == "linear") return ActivationKind::Linear;
  throw ValueError(message("simple_rnn: activation must be 'tanh', 'relu', 'sigmoid' or 'linear' but is '", name, "'"));
}

template <typename T>
const T* data_or_null(const OptionalArray& array) {
  return array ? array->data<T>() : nullptr;
}
template <typename T>
T* data_or_null(OptionalArray& array) {
  return array ? array->data<T>() : nullptr;
}

// --- forward ------------------------------------------------------------------------------------------------

struct ForwardArrays {
  Array x, kernel, recurrent_kernel;
  OptionalArray bias, mask, initial_h, initial_c;
  Array outputs, h;
  OptionalArray c, gates, c_before;
};

ForwardArrays allocate_forward(const char* op, const RecurrentSizes& s, const Array& x, const Array& kernel,
                               const Array& recurrent_kernel, const OptionalArray& bias, const OptionalArray& mask,
                               const OptionalArray& initial_h, bool training) {
  const int64_t columns = kernel_gates(s.cell) * s.units;
  check_optional(op, "bias", bias, x, s.cell == RecurrentCell::Gru ? Shape{2, columns} : Shape{columns});
  check_optional(op, "initial_h", initial_h, x, {s.batch, s.units});
  check_mask(op, mask, x);
  const auto empty = [&](const Shape& shape) { return Array::empty(shape, x.dtype(), x.device()); };
  ForwardArrays a{x,
                  kernel,
                  recurrent_kernel,
                  bias,
                  mask,
                  initial_h,
                  {},
                  empty({s.batch, s.steps, s.units}),
                  empty({s.batch, s.units}),
                  {},
                  {},
                  {}};
  if (s.cell == RecurrentCell::Lstm) a.c = empty({s.batch, s.units});
  if (training && saved_gates(s.cell) > 0) a.gates = empty({s.batch, s.steps, saved_gates(s.cell) * s.units});
  if (training && s.cell == RecurrentCell::Lstm) a.c_before = empty({s.batch, s.steps, s.units});
  return a;
}

void run_forward(const char* op, const RecurrentSizes& s, const ForwardArrays& arrays) {
  dispatch(op, arrays.x, [s, a = arrays](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    const T* bias = data_or_null<T>(std::as_const(a.bias));
    kernels.recurrent.template get<T>().forward(
        {s, std::as_const(a.x).data<T>(), std::as_const(a.kernel).data<T>(),
         std::as_const(a.recurrent_kernel).data<T>(), bias,
         bias != nullptr && s.cell == RecurrentCell::Gru ? bias + 3 * s.units : nullptr,
         data_or_null<bool>(std::as_const(a.mask)), data_or_null<T>(std::as_const(a.initial_h)),
         data_or_null<T>(std::as_const(a.initial_c)), a.outputs.data<T>(), a.h.data<T>(), data_or_null<T>(a.c),
         data_or_null<T>(a.gates), data_or_null<T>(a.c_before)});
  });
}

// For lstm, and lstm_cell as a sequence of one step: outputs, h, c, and for the gradient: gates, c_before.
std::tuple<Array, Array, Array, OptionalArray, OptionalArray> lstm_forward(
    const Array& x, const Array& kernel, const Array& recurrent_kernel, const OptionalArray& bias,
    const OptionalArray& initial_h, const OptionalArray& initial_c, const OptionalArray& mask, bool go_backwards,
    bool training) {
  const char* op = "lstm";
  const RecurrentSizes s = sizes_of(op, RecurrentCell::Lstm, x, kernel, recurrent_kernel, go_backwards);
  check_optional(op, "initial_c", initial_c, x, {s.batch, s.units});
  ForwardArrays a = allocate_forward(op, s, x, kernel, recurrent_kernel, bias, mask, initial_h, training);
  a.initial_c = initial_c;
  run_forward(op, s, a);
  return {a.outputs, a.h, *a.c, a.gates, a.c_before};
}

// For gru, and gru_cell as a sequence of one step: outputs, h, and for the gradient: gates.
std::tuple<Array, Array, OptionalArray> gru_forward(const Array& x, const Array& kernel, const Array& recurrent_kernel,
                                                    const OptionalArray& bias, const OptionalArray& initial_h,
                                                    const OptionalArray& mask, bool reset_after, bool go_backwards,
                                                    bool training) {
  const RecurrentCell cell = reset_after ? RecurrentCell::Gru : RecurrentCell::GruResetBefore;
  const RecurrentSizes s = sizes_of("gru", cell, x, kernel, recurrent_kernel, go_backwards);
  const ForwardArrays a = allocate_forward("gru", s, x, kernel, recurrent_kernel, bias, mask, initial_h, training);
  run_forward("gru", s, a);
  return {a.outputs, a.h, a.gates};
}

// For simple_rnn, and simple_rnn_cell as a sequence of one step: outputs, h.
std::tuple<Array, Array> simple_rnn_forward(const Array& x, const Array& kernel, const Array& recurrent_kernel,
                                            const OptionalArray& bias, const OptionalArray& initial_h,
                                            const OptionalArray& mask, const std::string& activation,
                                            bool go_backwards) {
  const char* op = "simple_rnn";
  RecurrentSizes s = sizes_of(op, RecurrentCell::SimpleRnn, x, kernel, recurrent_kernel, go_backwards);
  s.activation = activation_named(activation);
  const ForwardArrays a = allocate_forward(op, s, x, kernel, recurrent_kernel, bias, mask, initial_h, false);
  run_forward(op, s, a);
  return {a.outputs, a.h};
}

// --- backward -----------------------------------------------------------------------------------------------

struct BackwardArrays {
  Array x, kernel, recurrent_kernel;
  OptionalArray mask, initial_h;
  Array outputs;
  OptionalArray gates, c_before;
  Array doutputs;
  Array final_dh;
  OptionalArray final_dc;
  Array sums;  // gradients of each step's sums
  OptionalArray states;
  Array dh;
  OptionalArray dc, dx, dkernel, drecurrent, dbias;
};

BackwardArrays allocate_backward(const char* op, const RecurrentSizes& s, const Array& x, const Array& kernel,
                                 const Array& recurrent_kernel, const OptionalArray& initial_h,
                                 const OptionalArray& mask, const Array& outputs, const Array& doutputs,
                                 const Array& dh, const Needs& needs) {
  check_alike(op, {{"x", x}, {"outputs", outputs}, {"doutputs", doutputs}, {"dh", dh}});
  check_optional(op, "initial_h", initial_h, x, {s.batch, s.units});
  check_mask(op, mask, x);
  check_shape(op, "outputs", outputs, {s.batch, s.steps, s.units});
  check_shape(op, "doutputs", doutputs, outputs.shape());
  check_shape(op, "dh", dh, {s.batch, s.units});
  const auto empty = [&](const Shape& shape) { return Array::empty(shape, x.dtype(), x.device()); };
  BackwardArrays a{x,
                   kernel,
                   recurrent_kernel,
                   mask,
                   initial_h,
                   outputs,
                   {},
                   {},
                   doutputs,
                   dh,
                   {},
                   empty({s.batch, s.steps, sum_gradients(s.cell) * s.units}),
                   {},
                   Array::empty_like(dh),
                   {},
                   {},
                   {},
                   {},
                   {}};
  const int64_t columns = kernel_gates(s.cell) * s.units;
  if (needs[0]) a.dx = Array::empty_like(x);
  if (needs[1]) a.dkernel = Array::empty_like(kernel);
  if (needs[2]) a.drecurrent = Array::empty_like(recurrent_kernel);
  if (needs[2]) a.states = Array::empty_like(outputs);
  if (needs[3]) a.dbias = empty(s.cell == RecurrentCell::Gru ? Shape{2, columns} : Shape{columns});
  return a;
}

void copy_values(const Array& from, Array& to) {
  copy_bytes(to.device(), to.raw(), from.device(), from.raw(), to.bytes());
  to.mark_written();
}

void run_backward(const char* op, const RecurrentSizes& s, const BackwardArrays& arrays) {
  dispatch(op, arrays.x, [s, a = arrays](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    copy_values(a.final_dh, a.dh);
    if (a.dc) copy_values(*a.final_dc, *a.dc);
    kernels.recurrent.template get<T>().backward(
        {s, std::as_const(a.x).data<T>(), std::as_const(a.kernel).data<T>(),
         std::as_const(a.recurrent_kernel).data<T>(), data_or_null<bool>(std::as_const(a.mask)),
         data_or_null<T>(std::as_const(a.initial_h)), std::as_const(a.outputs).data<T>(),
         data_or_null<T>(std::as_const(a.gates)), data_or_null<T>(std::as_const(a.c_before)),
         std::as_const(a.doutputs).data<T>(), a.sums.data<T>(), data_or_null<T>(a.states), a.dh.data<T>(),
         data_or_null<T>(a.dc), data_or_null<T>(a.dx), data_or_null<T>(a.dkernel), data_or_null<T>(a.drecurrent),
         data_or_null<T>(a.dbias)});
  });
}

// Gradients of x, kernel, recurrent_kernel and bias where needed, of initial_h and of initial_c.
std::tuple<OptionalArray, OptionalArray, OptionalArray, OptionalArray, Array, Array> lstm_backward(
    const Array& x, const Array& kernel, const Array& recurrent_kernel, const OptionalArray& initial_h,
    const OptionalArray& mask, const Array& outputs, const Array& gates, const Array& c_before, const Array& doutputs,
    const Array& dh, const Array& dc, bool go_backwards, const Needs& needs) {
  const char* op = "lstm gradient";
  const RecurrentSizes s = sizes_of(op, RecurrentCell::Lstm, x, kernel, recurrent_kernel, go_backwards);
  BackwardArrays a =
      allocate_backward(op, s, x, kernel, recurrent_kernel, initial_h, mask, outputs, doutputs, dh, needs);
  check_alike(op, {{"x", x}, {"gates", gates}, {"c_before", c_before}, {"dc", dc}});
  check_shape(op, "gates", gates, {s.batch, s.steps, 4 * s.units});
  check_shape(op, "c_before", c_before, outputs.shape());
  check_shape(op, "dc", dc, dh.shape());
  a.gates = gates;
  a.c_before = c_before;
  a.final_dc = dc;
  a.dc = Array::empty_like(dc);
  run_backward(op, s, a);
  return {a.dx, a.dkernel, a.drecurrent, a.dbias, a.dh, *a.dc};
}

std::tuple<OptionalArray, OptionalArray, OptionalArray, OptionalArray, Array> gru_backward(
    const Array& x, const Array& kernel, const Array& recurrent_kernel, const OptionalArray& initial_h,
    const OptionalArray& mask, const Array& outputs, const Array& gates, const Array& doutputs, const Array& dh,
    bool reset_after, bool go_backwards, const Needs& needs) {
  const char* op = "gru gradient";
  const RecurrentCell cell = reset_after ? RecurrentCell::Gru : RecurrentCell::GruResetBefore;
  const RecurrentSizes s = sizes_of(op, cell, x, kernel, recurrent_kernel, go_backwards);
  BackwardArrays a =
      allocate_backward(op, s, x, kernel, recurrent_kernel, initial_h, mask, outputs, doutputs, dh, needs);
  check_alike(op, {{"x", x}, {"gates", gates}});
  check_shape(op, "gates", gates, {s.batch, s.steps, 4 * s.units});
  a.gates = gates;
  run_backward(op, s, a);
  return {a.dx, a.dkernel, a.drecurrent, a.dbias, a.dh};
}

std::tuple<OptionalArray, OptionalArray, OptionalArray, OptionalArray, Array> simple_rnn_backward(
    const Array& x, const Array& kernel, const Array& recurrent_kernel, const OptionalArray& initial_h,
    const OptionalArray& mask, const Array& outputs, const Array& doutputs, const Array& dh,
    const std::string& activation, bool go_backwards, const Needs& needs) {
  const char* op = "simple_rnn gradient";
  RecurrentSizes s = sizes_of(op, RecurrentCell::SimpleRnn, x, kernel, recurrent_kernel, go_backwards);
  s.activation = activation_named(activation);
  const BackwardArrays a =
      allocate_backward(op, s, x, kernel, recurrent_kernel, initial_h, mask, outputs, doutputs, dh, needs);
  run_backward(op, s, a);
  return {a.dx, a.dkernel, a.drecurrent, a.dbias, a.dh};
}

}  // namespace

void bind_recurrent(py::module_& m) {
  m.def("lstm_forward", &lstm_forward, "x"_a, "kernel"_a, "recurrent_kernel"_a, "bias"_a, "initial_h"_a, "initial_c"_a,
        "mask"_a, "go_backwards"_a, "training"_a, releases_gil());
  m.def("lstm_backward", &lstm_backward, "x"_a, "kernel"_a, "recurrent_kernel"_a, "initial_h"_a, "mask"_a, "outputs"_a,
        "gates"_a, "c_before"_a, "doutputs"_a, "dh"_a, "dc"_a, "go_backwards"_a, "needs"_a, releases_gil());
  m.def("gru_forward", &gru_forward, "x"_a, "kernel"_a, "recurrent_kernel"_a, "bias"_a, "initial_h"_a, "mask"_a,
        "reset_after"_a, "go_backwards"_a, "training"_a, releases_gil());
  m.def("gru_backward", &gru_backward, "x"_a, "kernel"_a, "recurrent_kernel"_a, "initial_h"_a, "mask"_a, "outputs"_a,
        "gates"_a, "doutputs"_a, "dh"_a, "reset_after"_a, "go_backwards"_a, "needs"_a, releases_gil());
  m.def("simple_rnn_forward", &simple_rnn_forward, "x"_a, "kernel"_a, "recurrent_kernel"_a, "bias"_a, "initial_h"_a,
        "mask"_a, "activation"_a, "go_backwards"_a, releases_gil());
  m.def("simple_rnn_backward", &simple_rnn_backward, "x"_a, "kernel"_a, "recurrent_kernel"_a, "initial_h"_a, "mask"_a,
        "outputs"_a, "doutputs"_a, "dh"_a, "activation"_a, "go_backwards"_a, "needs"_a, releases_gil());
}

}  // namespace ranvier
