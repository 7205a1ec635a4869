#include "ops/loss.h"

#include <cmath>
#include <utility>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/binding.h"
#include "ops/embedding.h"

namespace ranvier {
namespace {

Shape without_last(const Shape& shape) { return Shape(shape.begin(), shape.end() - 1); }

LossShape rows_of(const Array& x) {
  const int64_t columns = x.shape(x.rank() - 1);
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= x.shape(i);
  return {rows, columns};
}

// --- softmax cross-entropy ------------------------------------------------------------------------------------

// Part of the step, so that a replayed one checks its labels too.
void check_classes(const std::string& op, const Array& labels, int64_t classes) {
  if (labels.dtype() != DType::Int32 && labels.dtype() != DType::Int64) return;
  run("check_classes", [op, labels, classes] {
    const auto outsider = find_outsider(op.c_str(), labels, 0, classes - 1);
    if (!outsider) return;
    throw ValueError(message(op, ": label ", outsider->value, " at position ", outsider->position,
                             " is out of range for ", classes, " classes; expected 0 to ", classes - 1));
  });
}

void check_class_labels(const char* op, const Array& labels, const Array& logits, double smoothing) {
  check_floating(op, "logits", logits);
  check_min_rank(op, "logits", logits, 1);
  check_same_device(op, {{"logits", logits}, {"labels", labels}});
  if (!(smoothing >= 0 && smoothing <= 1)) {
    throw ValueError(message(op, ": label_smoothing must be between 0 and 1 but is ", smoothing));
  }
  const LossShape shape = rows_of(logits);
  if (shape.columns == 0) {
    throw ValueError(message(op, ": logits need one class or more (shape ", shape_text(logits.shape()), ")"));
  }
  if (labels.dtype() == logits.dtype()) {
    check_shape(op, "labels (one weight per class)", labels, logits.shape());
  } else if (labels.dtype() == DType::Int32 || labels.dtype() == DType::Int64) {
    check_shape(op, "labels (one class per sample)", labels, without_last(logits.shape()));
    check_classes(op, labels, shape.columns);
  } else {
    throw TypeError(message(op, ": labels must be int32 or int64 (classes) or ", dtype_name(logits.dtype()),
                            " like the logits (one weight per class) but are ", dtype_name(labels.dtype())));
  }
}

template <typename T>
ClassLabels<T> class_labels(const Array& labels, double smoothing) {
  const DType dtype = labels.dtype();
  return {dtype == DType::Int32 ? labels.data<int32_t>() : nullptr,
          dtype == DType::Int64 ? labels.data<int64_t>() : nullptr,
          dtype == DTypeOf<T>::value ? labels.data<T>() : nullptr, smoothing};
}

std::pair<Array, Array> softmax_cross_entropy_forward(const Array& labels, const Array& logits,
                                                      double label_smoothing) {
  const char* op = "softmax_cross_entropy";
  check_class_labels(op, labels, logits, label_smoothing);
  Shape per_sample = without_last(logits.shape());
  Array losses = Array::empty(per_sample, logits.dtype(), logits.device());
  per_sample.push_back(2);
  Array statistics = Array::empty(per_sample, logits.dtype(), logits.device());
  dispatch(op, logits, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.loss.template get<T>().softmax_forward(class_labels<T>(labels, label_smoothing), logits.data<T>(),
                                                   losses.data<T>(), statistics.data<T>(), rows_of(logits));
  });
  return {losses, statistics};
}

Array softmax_cross_entropy_backward(const Array& labels, const Array& logits, const Array& statistics, const Array& dy,
                                     double label_smoothing) {
  const char* op = "softmax_cross_entropy gradient";
  check_class_labels(op, labels, logits, label_smoothing);
  check_alike(op, {{"logits", logits}, {"statistics", statistics}, {"dy", dy}});
  Shape per_sample = without_last(logits.shape());
  check_shape(op, "dy", dy, per_sample);
  per_sample.push_back(2);
  check_shape(op, "statistics", statistics, per_sample);
  Array dlogits = Array::empty_like(logits);
  dispatch(op, logits, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.loss.template get<T>().softmax_backward(class_labels<T>(labels, label_smoothing), logits.data<T>(),
                                                    statistics.data<T>(), dy.data<T>(), dlogits.data<T>(),
                                                    rows_of(logits));
  });
  return dlogits;
}

// --- sigmoid cross-entropy ------------------------------------------------------------------------------------

void check_pair(const char* op, const Array& labels, const char* name, const Array& predictions) {
  check_floating(op, name, predictions);
  check_alike(op, {{name, predictions}, {"labels", labels}});
  check_shape(op, "labels", labels, predictions.shape());
}

Array sigmoid_cross_entropy_forward(const Array& labels, const Array& logits) {
  const char* op = "sigmoid_cross_entropy";
  check_pair(op, labels, "logits", logits);
  Array losses = Array::empty_like(logits);
  dispatch(op, logits, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.loss.template get<T>().sigmoid_forward(labels.data<T>(), logits.data<T>(), losses.data<T>(), logits.size());
  });
  return losses;
}

Array sigmoid_cross_entropy_backward(const Array& labels, const Array& logits, const Array& dy) {
  const char* op = "sigmoid_cross_entropy gradient";
  check_pair(op, labels, "logits", logits);
  check_pair(op, dy, "logits", logits);
  Array dlogits = Array::empty_like(logits);
  dispatch(op, logits, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.loss.template get<T>().sigmoid_backward(labels.data<T>(), logits.data<T>(), dy.data<T>(), dlogits.data<T>(),
                                                    logits.size());
  });
  return dlogits;
}

// --- regression -----------------------------------------------------------------------------------------------

void check_regression(const char* op, Regression kind, double delta, const Array& labels, const Array& predictions) {
  check_pair(op, labels, "predictions", predictions);
  check_min_rank(op, "predictions", predictions, 1);
  if (kind == Regression::Huber && !(delta > 0 && std::isfinite(delta))) {
    throw ValueError(message(op, ": delta must be positive and finite but is ", delta));
  }
}

Array forward(const char* op, Regression kind, double delta, const Array& labels, const Array& predictions) {
  check_regression(op, kind, delta, labels, predictions);
  Array losses = Array::empty(without_last(predictions.shape()), predictions.dtype(), predictions.device());
  dispatch(op, predictions, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.loss.template get<T>().regression_forward(kind, delta, labels.data<T>(), predictions.data<T>(),
                                                      losses.data<T>(), rows_of(predictions));
  });
  return losses;
}

Array backward(const char* op, Regression kind, double delta, const Array& labels, const Array& predictions,
               const Array& dy) {
  check_regression(op, kind, delta, labels, predictions);
  check_alike(op, {{"predictions", predictions}, {"dy", dy}});
  check_shape(op, "dy", dy, without_last(predictions.shape()));
  Array dpredictions = Array::empty_like(predictions);
  dispatch(op, predictions, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.loss.template get<T>().regression_backward(kind, delta, labels.data<T>(), predictions.data<T>(),
                                                       dy.data<T>(), dpredictions.data<T>(), rows_of(predictions));
  });
  return dpredictions;
}

Array mean_squared_error_forward(const Array& labels, const Array& predictions) {
  return forward("mean_squared_error", Regression::Squared, 1, labels, predictions);
}
Array mean_squared_error_backward(const Array& labels, const Array& predictions, const Array& dy) {
  return backward("mean_squared_error gradient", Regression::Squared, 1, labels, predictions, dy);
}
Array mean_absolute_error_forward(const Array& labels, const Array& predictions) {
  return forward("mean_absolute_error", Regression::Absolute, 1, labels, predictions);
}
Array mean_absolute_error_backward(const Array& labels, const Array& predictions, const Array& dy) {
  return backward("mean_absolute_error gradient", Regression::Absolute, 1, labels, predictions, dy);
}
Array huber_forward(const Array& labels, const Array& predictions, double delta) {
  return forward("huber", Regression::Huber, delta, labels, predictions);
}
Array huber_backward(const Array& labels, const Array& predictions, const Array& dy, double delta) {
  return backward("huber gradient", Regression::Huber, delta, labels, predictions, dy);
}

}  // namespace

void bind_loss(py::module_& m) {
  m.def("_check_class_labels", &check_classes, "op"_a, "labels"_a, "classes"_a);
  m.def("softmax_cross_entropy_forward", &softmax_cross_entropy_forward, "labels"_a, "logits"_a,
        "label_smoothing"_a = 0.0, releases_gil());
  m.def("softmax_cross_entropy_backward", &softmax_cross_entropy_backward, "labels"_a, "logits"_a, "statistics"_a,
        "dy"_a, "label_smoothing"_a = 0.0, releases_gil());
  m.def("sigmoid_cross_entropy_forward", &sigmoid_cross_entropy_forward, "labels"_a, "logits"_a, releases_gil());
  m.def("sigmoid_cross_entropy_backward", &sigmoid_cross_entropy_backward, "labels"_a, "logits"_a, "dy"_a,
        releases_gil());
  m.def("mean_squared_error_forward", &mean_squared_error_forward, "labels"_a, "predictions"_a, releases_gil());
  m.def("mean_squared_error_backward", &mean_squared_error_backward, "labels"_a, "predictions"_a, "dy"_a,
        releases_gil());
  m.def("mean_absolute_error_forward", &mean_absolute_error_forward, "labels"_a, "predictions"_a, releases_gil());
  m.def("mean_absolute_error_backward", &mean_absolute_error_backward, "labels"_a, "predictions"_a, "dy"_a,
        releases_gil());
  m.def("huber_forward", &huber_forward, "labels"_a, "predictions"_a, "delta"_a = 1.0, releases_gil());
  m.def("huber_backward", &huber_backward, "labels"_a, "predictions"_a, "dy"_a, "delta"_a = 1.0, releases_gil());
}

}  // namespace ranvier
