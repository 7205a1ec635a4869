#include "ops/group_norm.h"

#include <cmath>
#include <tuple>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

using OptionalArray = std::optional<Array>;

GroupShape shape_of(const Array& x, int64_t groups) {
  GroupShape shape{x.shape(0), 1, x.shape(x.rank() - 1), groups};
  for (int i = 1; i + 1 < x.rank(); ++i) shape.positions *= x.shape(i);
  return shape;
}

void check_channels(const char* op, const char* name, const OptionalArray& array, const Array& x) {
  if (!array) return;
  check_wide_like(op, name, *array, x);
  check_shape(op, name, *array, {x.shape(x.rank() - 1)});
}

void check_input(const char* op, const Array& x, int64_t groups) {
  check_storage(op, "x", x);
  check_min_rank(op, "x", x, 2);
  const int64_t channels = x.shape(x.rank() - 1);
  if (groups < 1 || channels % groups != 0) {
    throw ValueError(
        message(op, ": groups must be positive and divide the ", channels, " channels of x but is ", groups));
  }
}

template <typename T>
const T* data_or_null(const OptionalArray& array) {
  return array ? array->data<T>() : nullptr;
}

template <typename T>
T* data_or_null(OptionalArray& array) {
  return array ? array->data<T>() : nullptr;
}

// y, and the mean and 1 / sqrt(variance + epsilon) of each sample's groups.
std::tuple<Array, Array, Array> group_norm_forward(const Array& x, const OptionalArray& gamma,
                                                   const OptionalArray& beta, int64_t groups, double epsilon) {
  const char* op = "group_norm";
  check_input(op, x, groups);
  check_channels(op, "gamma", gamma, x);
  check_channels(op, "beta", beta, x);
  if (!(epsilon >= 0 && std::isfinite(epsilon))) {
    throw ValueError(message(op, ": epsilon must be finite and not negative but is ", epsilon));
  }
  Array y = Array::empty_like(x);
  Array mean = Array::empty({x.shape(0), groups}, widened(x.dtype()), x.device()), rstd = Array::empty_like(mean);
  dispatch_narrow(op, x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    using W = Wide<T>;
    const GroupScale<T> by{mean.data<W>(), rstd.data<W>(), data_or_null<W>(gamma), data_or_null<W>(beta)};
    kernels.group_norm.template get<T>().forward(x.data<T>(), by, y.data<T>(), epsilon, shape_of(x, groups));
  });
  return {y, mean, rstd};
}

// dx, dgamma and dbeta, None where not asked for.
std::tuple<OptionalArray, OptionalArray, OptionalArray> group_norm_backward(const Array& x, const OptionalArray& gamma,
                                                                            Array mean, Array rstd, const Array& dy,
                                                                            bool input_gradient,
                                                                            bool parameter_gradients) {
  const char* op = "group_norm gradient";
  check_min_rank(op, "mean", mean, 2);
  const int64_t groups = mean.shape(1);
  check_input(op, x, groups);
  check_channels(op, "gamma", gamma, x);
  check_alike(op, {{"x", x}, {"dy", dy}});
  check_wide_like(op, "mean", mean, x);
  check_wide_like(op, "rstd", rstd, x);
  check_shape(op, "mean", mean, {x.shape(0), groups});
  check_shape(op, "rstd", rstd, mean.shape());
  check_shape(op, "dy", dy, x.shape());
  const GroupShape shape = shape_of(x, groups);
  OptionalArray dx, dgamma, dbeta, partials;
  if (input_gradient) dx = Array::empty_like(x);
  if (parameter_gradients) {
    dgamma = Array::empty({shape.channels}, widened(x.dtype()), x.device());
    dbeta = Array::empty_like(*dgamma);
    partials = Array::empty({group_norm_chunks(shape.samples), 2, shape.channels}, widened(x.dtype()), x.device());
  }
  dispatch_narrow(op, x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    using W = Wide<T>;
    const GroupScale<T> by{mean.data<W>(), rstd.data<W>(), data_or_null<W>(gamma), nullptr};
    const GroupGradients<T> out{data_or_null<T>(dx), data_or_null<W>(dgamma), data_or_null<W>(dbeta),
                                data_or_null<W>(partials)};
    kernels.group_norm.template get<T>().gradients(x.data<T>(), dy.data<T>(), by, out, shape);
  });
  return {dx, dgamma, dbeta};
}

}  // namespace

void bind_group_norm(py::module_& m) {
  m.def("group_norm_forward", &group_norm_forward, "x"_a, "gamma"_a, "beta"_a, "groups"_a, "epsilon"_a = 1e-3,
        releases_gil());
  m.def("group_norm_backward", &group_norm_backward, "x"_a, "gamma"_a, "mean"_a, "rstd"_a, "dy"_a,
        "input_gradient"_a = true, "parameter_gradients"_a = true, releases_gil());
}

}  // namespace ranvier
