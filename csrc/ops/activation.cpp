#include "ops/activation.h"

#include <string>
#include <utility>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/activation_name.h"
#include "ops/binding.h"
#include "tape/direct.h"

namespace ranvier {
namespace {

Array forward(const char* op, const Array& x, Activation activation) {
  check_storage(op, "x", x);
  Array y = Array::empty_like(x);
  if (x.size() == 0) return y;
  dispatch_narrow(op, x, [=, x = x.lent(), y = y.lent()](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.activation.get<T>().forward(activation, x.data<T>(), y.data<T>(), x.size());
  });
  return y;
}

Array backward(const char* op, const Array& saved, const Array& dy, Activation activation) {
  const char* name = slope_from_output(activation.kind) ? "y" : "x";
  check_storage(op, name, saved);
  check_alike(op, {{name, saved}, {"dy", dy}});
  check_shape(op, "dy", dy, saved.shape());
  Array dx = Array::empty_like(dy);
  if (dy.size() == 0) return dx;
  dispatch_narrow(op, saved, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.activation.get<T>().backward(activation, saved.data<T>(), dy.data<T>(), dx.data<T>(), dy.size());
  });
  return dx;
}

Array threshold_forward(const Array& x, double value, bool inclusive) {
  check_storage("threshold", "x", x);
  Array y = Array::empty_like(x);
  if (x.size() == 0) return y;
  dispatch_narrow("threshold", x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.activation.get<T>().threshold(x.data<T>(), Wide<T>(value), inclusive, y.data<T>(), x.size());
  });
  return y;
}

// F_forward(x) and F_backward(x or y, dy).
void bind_plain(py::module_& m, const char* name, ActivationKind kind) {
  const Activation activation{kind, 0};
  m.def((std::string(name) + "_forward").c_str(), [=](const Array& x) { return forward(name, x, activation); }, "x"_a,
        releases_gil());
  m.def((std::string(name) + "_backward").c_str(),
        [=](const Array& saved, const Array& dy) { return backward(name, saved, dy, activation); },
        py::arg(slope_from_output(kind) ? "y" : "x"), "dy"_a, releases_gil());
  add_direct(name, [=](const Array& x) { return forward(name, x, activation); });
}

// F_forward(x, alpha) and F_backward(x, dy, alpha).
void bind_with_alpha(py::module_& m, const char* name, ActivationKind kind, const char* parameter) {
  m.def((std::string(name) + "_forward").c_str(),
        [=](const Array& x, double alpha) { return forward(name, x, {kind, alpha}); }, "x"_a, py::arg(parameter),
        releases_gil());
  m.def((std::string(name) + "_backward").c_str(),
        [=](const Array& x, const Array& dy, double alpha) { return backward(name, x, dy, {kind, alpha}); }, "x"_a,
        "dy"_a, py::arg(parameter), releases_gil());
  add_direct(name, [=](const Array& x, double alpha) { return forward(name, x, {kind, alpha}); });
}

Activation gelu_of(bool approximate) { return {approximate ? ActivationKind::Gelu : ActivationKind::GeluExact, 0}; }

}  // namespace

Activation named_activation(const char* op, const std::string& name) {
  using Kind = ActivationKind;
  static const std::pair<const char*, Activation> kNamed[] = {
      {"linear", {Kind::Linear, 0}},   {"relu", {Kind::Relu, 0}},  {"leaky_relu", {Kind::LeakyRelu, 0.2}},
      {"elu", {Kind::Elu, 1}},         {"selu", {Kind::Selu, 0}},  {"gelu", {Kind::Gelu, 0}},
      {"silu", {Kind::Silu, 0}},       {"swish", {Kind::Silu, 0}}, {"softplus", {Kind::Softplus, 0}},
      {"sigmoid", {Kind::Sigmoid, 0}}, {"tanh", {Kind::Tanh, 0}},
  };
  for (const auto& [known, activation] : kNamed) {
    if (name == known) return activation;
  }
  throw ValueError(message(op, ": unknown activation '", name,
                           "'; expected linear, relu, leaky_relu, elu, selu, gelu, silu, softplus, sigmoid or tanh"));
}

void bind_activation(py::module_& m) {
  bind_plain(m, "relu", ActivationKind::Relu);
  bind_plain(m, "selu", ActivationKind::Selu);
  bind_plain(m, "silu", ActivationKind::Silu);
  bind_plain(m, "softplus", ActivationKind::Softplus);
  bind_plain(m, "sigmoid", ActivationKind::Sigmoid);
  bind_plain(m, "tanh", ActivationKind::Tanh);
  bind_with_alpha(m, "leaky_relu", ActivationKind::LeakyRelu, "negative_slope");
  bind_with_alpha(m, "elu", ActivationKind::Elu, "alpha");
  m.def(
      "gelu_forward", [](const Array& x, bool approximate) { return forward("gelu", x, gelu_of(approximate)); }, "x"_a,
      "approximate"_a, releases_gil());
  m.def(
      "gelu_backward",
      [](const Array& x, const Array& dy, bool approximate) { return backward("gelu", x, dy, gelu_of(approximate)); },
      "x"_a, "dy"_a, "approximate"_a, releases_gil());
  m.def("threshold_forward", &threshold_forward, "x"_a, "value"_a, "inclusive"_a, releases_gil());
  add_direct("gelu", [](const Array& x, bool approximate) { return forward("gelu", x, gelu_of(approximate)); });
  add_direct("threshold", &threshold_forward);
}

}  // namespace ranvier
