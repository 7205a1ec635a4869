#include "ops/conv2d.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/activation_name.h"
#include "ops/binding.h"
#include "ops/sliding_window.h"

namespace ranvier {
namespace {

using Bias = std::optional<Array>;

bool allowed_by_environment() noexcept {
  const char* value = std::getenv("RANVIER_WINOGRAD");
  return value == nullptr || std::strcmp(value, "0") != 0;
}

std::atomic<bool> winograd_allowed{allowed_by_environment()};  // rv.config.set_winograd

void check_image(const char* op, const char* name, const Array& array) {
  check_storage(op, name, array);
  check_rank(op, name, array, 4);
}

Sides spatial(const Array& array) { return {array.shape(1), array.shape(2)}; }

void check_bias(const char* op, const Array& inputs, const Bias& bias, int64_t channels) {
  if (!bias) return;
  check_alike(op, {{"inputs", inputs}, {"bias", *bias}});
  check_shape(op, "bias", *bias, {channels});
}

void check_groups(const char* op, int64_t groups, int64_t in_channels, int64_t out_channels) {
  if (groups < 1 || groups > std::max<int64_t>(in_channels, 1) || in_channels % groups != 0) {
    throw ValueError(message(op, ": groups must divide the input's ", in_channels, " channels but is ", groups));
  }
  if (out_channels % groups != 0) {
    throw ValueError(
        message(op, ": groups must divide the kernel's ", out_channels, " output channels but is ", groups));
  }
}

// The kernel's input channels (its third axis) against those of the images it looks at.
void check_kernel(const char* op, const Array& kernel, const char* name, const Array& inputs, int64_t groups) {
  const int64_t channels = inputs.shape(3);
  check_groups(op, groups, channels, kernel.shape(3));
  if (kernel.shape(2) == channels / groups) return;
  throw ValueError(message(op, ": kernel has ", kernel.shape(2), " input channels (shape ", shape_text(kernel.shape()),
                           groups == 1 ? "" : message(", groups ", groups), ") but ", name, " has ", channels,
                           " (shape ", shape_text(inputs.shape()), ")"));
}

template <typename T>
const T* pointer(const Bias& bias) {
  return bias ? bias->data<T>() : nullptr;
}

// y, and the sum before the activation if `keep_sum` and the activation's slope does not follow from y.
std::pair<Array, std::optional<Array>> conv2d_forward(const Array& inputs, const Array& kernel, const Bias& bias,
                                                      const Sides& strides, const Padding& padding,
                                                      const Sides& dilation, int64_t groups,
                                                      const std::string& activation_name, bool keep_sum) {
  const char* op = "conv2d";
  const Activation activation = named_activation(op, activation_name);
  check_image(op, "inputs", inputs);
  check_image(op, "kernel", kernel);
  check_alike(op, {{"inputs", inputs}, {"kernel", kernel}});
  check_kernel(op, kernel, "input", inputs, groups);
  check_bias(op, inputs, bias, kernel.shape(3));
  const Window window =
      sliding_window(op, "kernel", spatial(inputs), {kernel.shape(0), kernel.shape(1)}, strides, padding, dilation);
  const Conv2dShape shape{inputs.shape(0), inputs.shape(3), kernel.shape(3), groups, window, winograd_allowed};
  Array y = Array::empty({shape.images, window.height.out, window.width.out, shape.out_channels}, inputs.dtype(),
                         inputs.device());
  std::optional<Array> sum;
  if (keep_sum && !slope_from_output(activation.kind)) sum = Array::empty_like(y);
  if (y.size() == 0) return {y, sum};
  dispatch_narrow(op, inputs, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    const Activation fused = sum ? Activation{ActivationKind::Linear, 0} : activation;
    T* out = sum ? sum->data<T>() : y.data<T>();
    kernels.conv2d.template get<T>().forward(inputs.data<T>(), kernel.data<T>(), pointer<T>(bias), out, shape, fused);
    if (sum) kernels.activation.template get<T>().forward(activation, out, y.data<T>(), y.size());
  });
  return {y, sum};
}

void run_input_gradient(const char* op, const Array& dy, const Array& kernel, const Bias& bias, Array& dx,
                        const Conv2dShape& shape) {
  if (dx.size() == 0) return;
  dispatch_narrow(op, dy, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.conv2d.template get<T>().input_gradient(dy.data<T>(), kernel.data<T>(), pointer<T>(bias), dx.data<T>(),
                                                    shape);
  });
}

Array conv2d_input_gradient(const Array& dy, const Array& kernel, const Sides& input_size, const Sides& strides,
                            const Padding& padding, const Sides& dilation, int64_t groups) {
  const char* op = "conv2d input gradient";
  check_image(op, "dy", dy);
  check_image(op, "kernel", kernel);
  check_alike(op, {{"dy", dy}, {"kernel", kernel}});
  if (input_size.size() != 2 || input_size[0] < 0 || input_size[1] < 0) {
    throw ValueError(message(op, ": input_size must be (height, width)"));
  }
  check_positive(op, "groups", groups);
  const Shape in_shape{dy.shape(0), input_size[0], input_size[1], element_count({kernel.shape(2), groups})};
  check_groups(op, groups, in_shape[3], kernel.shape(3));
  const Window window =
      sliding_window(op, "kernel", input_size, {kernel.shape(0), kernel.shape(1)}, strides, padding, dilation);
  check_shape(op, "dy", dy, {dy.shape(0), window.height.out, window.width.out, kernel.shape(3)});
  Array dx = Array::empty(in_shape, dy.dtype(), dy.device());
  run_input_gradient(op, dy, kernel, {}, dx,
                     {dy.shape(0), in_shape[3], kernel.shape(3), groups, window, winograd_allowed});
  return dx;
}

// The kernel is (height, width, out, in) as in Keras: it maps the output's channels to the input's when
// read as the convolution whose adjoint this is.
Array conv2d_transpose_forward(const Array& inputs, const Array& kernel, const Bias& bias, const Sides& strides,
                               const std::string& padding, const Sides& output_padding, const Sides& dilation) {
  const char* op = "conv2d_transpose";
  check_image(op, "inputs", inputs);
  check_image(op, "kernel", kernel);
  check_alike(op, {{"inputs", inputs}, {"kernel", kernel}});
  if (kernel.shape(3) != inputs.shape(3)) {
    throw ValueError(message(op, ": kernel has ", kernel.shape(3), " input channels (shape ",
                             shape_text(kernel.shape()), ") but input has ", inputs.shape(3), " (shape ",
                             shape_text(inputs.shape()), ")"));
  }
  check_bias(op, inputs, bias, kernel.shape(2));
  const Window window = transposed_window(op, "kernel", spatial(inputs), {kernel.shape(0), kernel.shape(1)}, strides,
                                          padding, output_padding, dilation);
  Array y = Array::empty({inputs.shape(0), window.height.size, window.width.size, kernel.shape(2)}, inputs.dtype(),
                         inputs.device());
  run_input_gradient(op, inputs, kernel, bias, y,
                     {inputs.shape(0), kernel.shape(2), kernel.shape(3), 1, window, winograd_allowed});
  return y;
}

Array conv2d_kernel_gradient(const Array& inputs, const Array& dy, const Sides& kernel_size, const Sides& strides,
                             const Padding& padding, const Sides& dilation, int64_t groups) {
  const char* op = "conv2d kernel gradient";
  check_image(op, "inputs", inputs);
  check_image(op, "dy", dy);
  check_alike(op, {{"inputs", inputs}, {"dy", dy}});
  check_groups(op, groups, inputs.shape(3), dy.shape(3));
  if (kernel_size.size() != 2) throw ValueError(message(op, ": kernel_size must be (height, width)"));
  const Window window = sliding_window(op, "kernel", spatial(inputs), kernel_size, strides, padding, dilation);
  check_shape(op, "dy", dy, {inputs.shape(0), window.height.out, window.width.out, dy.shape(3)});
  const Conv2dShape shape{inputs.shape(0), inputs.shape(3), dy.shape(3), groups, window, winograd_allowed};
  Array dw = Array::empty({kernel_size[0], kernel_size[1], shape.in_channels / groups, shape.out_channels},
                          inputs.dtype(), inputs.device());
  if (dw.size() == 0) return dw;
  dispatch_narrow(op, inputs, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.conv2d.template get<T>().kernel_gradient(inputs.data<T>(), dy.data<T>(), dw.data<T>(), shape);
  });
  return dw;
}

// dz = dy times the activation's slope, and db if wanted. saved: y, or the sum that conv2d_forward kept.
std::pair<Array, std::optional<Array>> conv2d_activation_gradient(const Array& saved, const Array& dy,
                                                                  const std::string& activation_name, bool want_bias) {
  const char* op = "conv2d activation gradient";
  const Activation activation = named_activation(op, activation_name);
  check_image(op, "dy", dy);
  check_alike(op, {{"saved", saved}, {"dy", dy}});
  check_shape(op, "dy", dy, saved.shape());
  Array dz = Array::empty_like(dy);
  std::optional<Array> db;
  if (want_bias) db = Array::empty({dy.shape(3)}, dy.dtype(), dy.device());
  if (dy.shape(3) == 0) return {dz, db};
  dispatch_narrow(op, dy, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    const int64_t channels = dy.shape(3);
    kernels.conv2d.template get<T>().activation_gradient(activation, saved.data<T>(), dy.data<T>(), dz.data<T>(),
                                                         dy.size() / channels, channels, db ? db->data<T>() : nullptr);
  });
  return {dz, db};
}

Array conv2d_bias_gradient(const Array& dy) {
  const char* op = "conv2d bias gradient";
  check_image(op, "dy", dy);
  Array db = Array::empty({dy.shape(3)}, dy.dtype(), dy.device());
  if (db.size() == 0) return db;
  dispatch_narrow(op, dy, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    const int64_t channels = dy.shape(3);
    kernels.conv2d.template get<T>().activation_gradient({ActivationKind::Linear, 0}, nullptr, dy.data<T>(), nullptr,
                                                         dy.size() / channels, channels, db.data<T>());
  });
  return db;
}

}  // namespace

void bind_conv2d(py::module_& m) {
  m.def("_winograd", [] { return winograd_allowed.load(); });
  m.def("_set_winograd", [](bool allowed) { winograd_allowed = allowed; }, "allowed"_a);
  m.def("conv2d_forward", &conv2d_forward, "inputs"_a, "kernel"_a, "bias"_a, "strides"_a, "padding"_a, "dilation"_a,
        "groups"_a, "activation"_a = "linear", "keep_sum"_a = false, releases_gil());
  m.def("conv2d_activation_gradient", &conv2d_activation_gradient, "saved"_a, "dy"_a, "activation"_a, "want_bias"_a,
        releases_gil());
  m.def("conv2d_input_gradient", &conv2d_input_gradient, "dy"_a, "kernel"_a, "input_size"_a, "strides"_a, "padding"_a,
        "dilation"_a, "groups"_a, releases_gil());
  m.def("conv2d_kernel_gradient", &conv2d_kernel_gradient, "inputs"_a, "dy"_a, "kernel_size"_a, "strides"_a,
        "padding"_a, "dilation"_a, "groups"_a, releases_gil());
  m.def("conv2d_bias_gradient", &conv2d_bias_gradient, "dy"_a, releases_gil());
  m.def("conv2d_transpose_forward", &conv2d_transpose_forward, "inputs"_a, "kernel"_a, "bias"_a, "strides"_a,
        "padding"_a, "output_padding"_a, "dilation"_a, releases_gil());
}

}  // namespace ranvier
