#include "ops/softmax.h"

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/binding.h"
#include "tape/direct.h"

namespace ranvier {
namespace {

Rows rows_along(const char* op, const Array& x, int64_t axis) {
  const int along = normalize_axis(op, axis, x);
  Rows rows{1, x.shape(along), 1};
  for (int i = 0; i < along; ++i) rows.outer *= x.shape(i);
  for (int i = along + 1; i < x.rank(); ++i) rows.inner *= x.shape(i);
  return rows;
}

Array forward(const char* op, const Array& x, int64_t axis, bool logarithm) {
  check_storage(op, "x", x);
  check_min_rank(op, "x", x, 1);
  const Rows rows = rows_along(op, x, axis);
  Array y = Array::empty_like(x);
  dispatch_narrow(op, x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    const SoftmaxKernels<T>& softmax = kernels.softmax.template get<T>();
    (logarithm ? softmax.log_forward : softmax.forward)(x.data<T>(), y.data<T>(), rows);
  });
  return y;
}

Array backward(const char* op, const Array& y, const Array& dy, int64_t axis, bool logarithm) {
  check_storage(op, "y", y);
  check_alike(op, {{"y", y}, {"dy", dy}});
  check_shape(op, "dy", dy, y.shape());
  check_min_rank(op, "y", y, 1);
  const Rows rows = rows_along(op, y, axis);
  Array dx = Array::empty_like(y);
  dispatch_narrow(op, y, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    const SoftmaxKernels<T>& softmax = kernels.softmax.template get<T>();
    (logarithm ? softmax.log_backward : softmax.backward)(y.data<T>(), dy.data<T>(), dx.data<T>(), rows);
  });
  return dx;
}

Array softmax_forward(const Array& x, int64_t axis) { return forward("softmax", x, axis, false); }
Array log_softmax_forward(const Array& x, int64_t axis) { return forward("log_softmax", x, axis, true); }
Array softmax_backward(const Array& y, const Array& dy, int64_t axis) {
  return backward("softmax gradient", y, dy, axis, false);
}
Array log_softmax_backward(const Array& y, const Array& dy, int64_t axis) {
  return backward("log_softmax gradient", y, dy, axis, true);
}

}  // namespace

void bind_softmax(py::module_& m) {
  m.def("softmax_forward", &softmax_forward, "x"_a, "axis"_a = -1, releases_gil());
  m.def("softmax_backward", &softmax_backward, "y"_a, "dy"_a, "axis"_a = -1, releases_gil());
  m.def("log_softmax_forward", &log_softmax_forward, "x"_a, "axis"_a = -1, releases_gil());
  m.def("log_softmax_backward", &log_softmax_backward, "y"_a, "dy"_a, "axis"_a = -1, releases_gil());
  add_direct("softmax", &softmax_forward);
  add_direct("log_softmax", &log_softmax_forward);
}

}  // namespace ranvier
