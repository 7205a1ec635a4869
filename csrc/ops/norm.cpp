#include "ops/norm.h"

#include <cmath>
#include <tuple>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

using OptionalArray = std::optional<Array>;

NormShape shape_of(const Array& x) {
  NormShape shape{1, x.shape(x.rank() - 1)};
  for (int i = 0; i + 1 < x.rank(); ++i) shape.rows *= x.shape(i);
  return shape;
}

void check_channels(const char* op, const char* name, const Array& array, const Array& x) {
  check_wide_like(op, name, array, x);
  check_shape(op, name, array, {x.shape(x.rank() - 1)});
}

void check_input(const char* op, const Array& x, const OptionalArray& gamma) {
  check_storage(op, "x", x);
  check_min_rank(op, "x", x, 1);
  if (gamma) check_channels(op, "gamma", *gamma, x);
}

void check_moving(const char* op, const Array& mean, const Array& variance, const Array& x, bool training) {
  check_channels(op, "moving_mean", mean, x);
  check_channels(op, "moving_variance", variance, x);
  if (!training) return;
  check_writable(op, "moving_mean", mean);
  check_writable(op, "moving_variance", variance);
  if (mean.size() > 0 && mean.raw() == variance.raw()) {
    throw ValueError(message(op, ": moving_mean and moving_variance share their memory"));
  }
}

template <typename T>
const T* data_or_null(const OptionalArray& array) {
  return array ? array->data<T>() : nullptr;
}

// What the kernels sum per block of rows: two values per channel.
Array partials_for(const Array& x) {
  const NormShape shape = shape_of(x);
  return Array::empty({norm_blocks(shape), 2, shape.channels}, widened(x.dtype()), x.device());
}

// Whether the activation is relu; None and "linear" are none.
bool is_relu(const char* op, const std::optional<std::string>& activation) {
  if (!activation || *activation == "linear") return false;
  if (*activation == "relu") return true;
  throw ValueError(message(op, ": activation must be \"relu\", \"linear\" or None but is \"", *activation, "\""));
}

// y, and the mean and 1 / sqrt(variance + epsilon) that it was made with.
std::tuple<Array, Array, Array> batch_norm_forward(const Array& x, const OptionalArray& gamma,
                                                   const OptionalArray& beta, Array moving_mean, Array moving_variance,
                                                   bool training, double momentum, double epsilon,
                                                   const std::optional<std::string>& activation) {
  const char* op = "batch_norm";
  const bool relu = is_relu(op, activation);
  check_input(op, x, gamma);
  if (beta) check_channels(op, "beta", *beta, x);
  check_moving(op, moving_mean, moving_variance, x, training);
  if (!(momentum >= 0 && momentum <= 1)) {
    throw ValueError(message(op, ": momentum must be between 0 and 1 but is ", momentum));
  }
  if (!(epsilon >= 0 && std::isfinite(epsilon))) {
    throw ValueError(message(op, ": epsilon must be finite and not negative but is ", epsilon));
  }
  Array y = Array::empty_like(x), mean = Array::empty_like(moving_mean), rstd = Array::empty_like(moving_mean);
  if (training) {
    moving_mean.bump_version();
    moving_variance.bump_version();
  }
  Array partials = training ? partials_for(x) : Array::empty({0}, widened(x.dtype()), x.device());
  dispatch_narrow(op, x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    using W = Wide<T>;
    const NormKernels<T>& norm = kernels.norm.template get<T>();
    const MovingStatistics<T> moving{moving_mean.data<W>(), moving_variance.data<W>(), momentum};
    const NormShape shape = shape_of(x);
    if (training) {
      norm.batch_statistics(x.data<T>(), partials.data<W>(), mean.data<W>(), rstd.data<W>(), moving, epsilon, shape);
    } else {
      norm.moving_statistics(moving, mean.data<W>(), rstd.data<W>(), epsilon, shape.channels);
    }
    const NormScale<T> by{mean.data<W>(), rstd.data<W>(), data_or_null<W>(gamma), data_or_null<W>(beta), relu};
    norm.normalise(x.data<T>(), by, y.data<T>(), shape);
  });
  return {y, mean, rstd};
}

// dx (None unless asked for), dgamma, dbeta.
std::tuple<OptionalArray, Array, Array> batch_norm_backward(const Array& x, const OptionalArray& gamma,
                                                            const Array& mean, const Array& rstd, const Array& dy,
                                                            bool training, bool input_gradient,
                                                            const OptionalArray& beta,
                                                            const std::optional<std::string>& activation) {
  const char* op = "batch_norm gradient";
  const bool relu = is_relu(op, activation);
  check_input(op, x, gamma);
  if (beta) check_channels(op, "beta", *beta, x);
  check_channels(op, "mean", mean, x);
  check_channels(op, "rstd", rstd, x);
  check_alike(op, {{"x", x}, {"dy", dy}});
  check_shape(op, "dy", dy, x.shape());
  Array dgamma = Array::empty_like(mean), dbeta = Array::empty_like(mean);
  OptionalArray dx;
  if (input_gradient) dx = Array::empty_like(x);
  Array partials = partials_for(x);
  dispatch_narrow(op, x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    using W = Wide<T>;
    const NormKernels<T>& norm = kernels.norm.template get<T>();
    const NormScale<T> by{mean.data<W>(), rstd.data<W>(), data_or_null<W>(gamma), data_or_null<W>(beta), relu};
    norm.parameter_gradients(x.data<T>(), dy.data<T>(), by, partials.data<W>(), dgamma.data<W>(), dbeta.data<W>(),
                             shape_of(x));
    if (!dx) return;
    norm.input_gradient(x.data<T>(), dy.data<T>(), by, training ? dgamma.data<W>() : nullptr,
                        training ? dbeta.data<W>() : nullptr, dx->data<T>(), shape_of(x));
  });
  return {dx, dgamma, dbeta};
}

}  // namespace

void bind_norm(py::module_& m) {
  m.def("batch_norm_forward", &batch_norm_forward, "x"_a, "gamma"_a, "beta"_a, "moving_mean"_a, "moving_variance"_a,
        "training"_a = false, "momentum"_a = 0.99, "epsilon"_a = 1e-3, "activation"_a = py::none(), releases_gil());
  m.def("batch_norm_backward", &batch_norm_backward, "x"_a, "gamma"_a, "mean"_a, "rstd"_a, "dy"_a, "training"_a,
        "input_gradient"_a = true, "beta"_a = py::none(), "activation"_a = py::none(), releases_gil());
}

}  // namespace ranvier
