#include "ops/recurrent.h"

#include <cstring>
#include <tuple>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

using OptionalArray = std::optional<Array>;

// x (N, T, I), kernel (I, 4H), recurrent_kernel (H, 4H); the sizes they agree on.
LstmSizes lstm_sizes(const Array& x, const Array& kernel, const Array& recurrent_kernel, bool go_backwards) {
  check_floating("lstm", "x", x);
  check_alike("lstm", {{"x", x}, {"kernel", kernel}, {"recurrent_kernel", recurrent_kernel}});
  check_rank("lstm", "x", x, 3);
  check_rank("lstm", "kernel", kernel, 2);
  check_rank("lstm", "recurrent_kernel", recurrent_kernel, 2);
  const int64_t units = recurrent_kernel.shape(0);
  if (recurrent_kernel.shape(1) % 4 != 0 || recurrent_kernel.shape(1) / 4 != units) {
    throw ValueError(message("lstm: recurrent_kernel must have shape (units, 4 * units) but has shape ",
                             shape_text(recurrent_kernel.shape())));
  }
  check_positive("lstm", "units (rows of recurrent_kernel)", units);
  if (kernel.shape(0) != x.shape(2)) {
    throw ValueError(message("lstm: kernel has ", kernel.shape(0), " input features (shape ",
                             shape_text(kernel.shape()), ") but x has ", x.shape(2), " (shape ", shape_text(x.shape()),
                             ")"));
  }
  check_shape("lstm", "kernel", kernel, {x.shape(2), 4 * units});
  return {x.shape(0), x.shape(1), x.shape(2), units, go_backwards};
}

void check_optional(const char* name, const OptionalArray& array, const Array& x, const Shape& shape) {
  if (!array) return;
  check_alike("lstm", {{"x", x}, {name, *array}});
  check_shape("lstm", name, *array, shape);
}

void check_mask(const OptionalArray& mask, const Array& x) {
  if (!mask) return;
  check_same_device("lstm", {{"x", x}, {"mask", *mask}});
  check_dtype("lstm", "mask", *mask, DType::Bool);
  check_shape("lstm", "mask", *mask, {x.shape(0), x.shape(1)});
}

// A copy to work on in place; zeros for an absent array.
Array copy_or_zeros(const OptionalArray& array, const Shape& shape, const Array& like) {
  if (!array) return Array::zeros(shape, like.dtype(), like.device());
  Array copy = Array::empty_like(*array);
  std::memcpy(copy.raw(), array->raw(), array->bytes());
  return copy;
}

template <typename T>
const T* data_or_null(const OptionalArray& array) {
  return array ? array->data<T>() : nullptr;
}

// For lstm, and lstm_cell as a sequence of one step: outputs, h, c, and for the gradient: gates, h_before, c_before.
std::tuple<Array, Array, Array, Array, Array, Array> lstm_forward(
    const Array& x, const Array& kernel, const Array& recurrent_kernel, const OptionalArray& bias,
    const OptionalArray& initial_h, const OptionalArray& initial_c, const OptionalArray& mask, bool go_backwards) {
  const LstmSizes s = lstm_sizes(x, kernel, recurrent_kernel, go_backwards);
  check_optional("bias", bias, x, {4 * s.units});
  check_optional("initial_h", initial_h, x, {s.batch, s.units});
  check_optional("initial_c", initial_c, x, {s.batch, s.units});
  check_mask(mask, x);
  Array h = copy_or_zeros(initial_h, {s.batch, s.units}, x);
  Array c = copy_or_zeros(initial_c, {s.batch, s.units}, x);
  Array outputs = Array::empty({s.batch, s.steps, s.units}, x.dtype(), x.device());
  Array gates = Array::empty({s.batch, s.steps, 4 * s.units}, x.dtype(), x.device());
  Array h_before = Array::empty_like(outputs);
  Array c_before = Array::empty_like(outputs);
  dispatch("lstm", x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.recurrent.template get<T>().lstm_forward(
        {s, x.data<T>(), kernel.data<T>(), recurrent_kernel.data<T>(), data_or_null<T>(bias), data_or_null<bool>(mask),
         h.data<T>(), c.data<T>(), outputs.data<T>(), gates.data<T>(), h_before.data<T>(), c_before.data<T>()});
  });
  return {outputs, h, c, gates, h_before, c_before};
}

// Gradients of the gates' sums (dz), of initial_h and of initial_c.
std::tuple<Array, Array, Array> lstm_backward(const Array& recurrent_kernel, const OptionalArray& mask,
                                              const Array& gates, const Array& c_before, const Array& doutputs,
                                              const Array& dh, const Array& dc, bool go_backwards) {
  const char* op = "lstm gradient";
  check_floating(op, "gates", gates);
  check_alike(op, {{"gates", gates},
                   {"recurrent_kernel", recurrent_kernel},
                   {"c_before", c_before},
                   {"doutputs", doutputs},
                   {"dh", dh},
                   {"dc", dc}});
  check_rank(op, "c_before", c_before, 3);
  const LstmSizes s{c_before.shape(0), c_before.shape(1), 0, c_before.shape(2), go_backwards};
  check_shape(op, "recurrent_kernel", recurrent_kernel, {s.units, 4 * s.units});
  check_shape(op, "gates", gates, {s.batch, s.steps, 4 * s.units});
  check_shape(op, "doutputs", doutputs, c_before.shape());
  check_shape(op, "dh", dh, {s.batch, s.units});
  check_shape(op, "dc", dc, {s.batch, s.units});
  check_mask(mask, c_before);
  Array dz = Array::empty_like(gates);
  Array initial_dh = copy_or_zeros(dh, dh.shape(), dh);
  Array initial_dc = copy_or_zeros(dc, dc.shape(), dc);
  Array carried = Array::empty_like(dh);
  Array transposed = Array::empty({4 * s.units, s.units}, gates.dtype(), gates.device());
  dispatch(op, gates, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.recurrent.template get<T>().lstm_backward({s, recurrent_kernel.data<T>(), data_or_null<bool>(mask),
                                                       gates.data<T>(), c_before.data<T>(), doutputs.data<T>(),
                                                       transposed.data<T>(), carried.data<T>(), initial_dh.data<T>(),
                                                       initial_dc.data<T>(), dz.data<T>()});
  });
  return {dz, initial_dh, initial_dc};
}

}  // namespace

void bind_recurrent(py::module_& m) {
  m.def("lstm_forward", &lstm_forward, "x"_a, "kernel"_a, "recurrent_kernel"_a, "bias"_a, "initial_h"_a, "initial_c"_a,
        "mask"_a, "go_backwards"_a, releases_gil());
  m.def("lstm_backward", &lstm_backward, "recurrent_kernel"_a, "mask"_a, "gates"_a, "c_before"_a, "doutputs"_a, "dh"_a,
        "dc"_a, "go_backwards"_a, releases_gil());
}

}  // namespace ranvier
