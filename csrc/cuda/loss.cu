// Losses per sample and their gradients; the formulas stand in ops/loss.h.
#include "ops/loss.h"

#include "cuda/activation_math.h"
#include "cuda/rows.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

Rows rows_of(LossShape shape) { return {shape.rows, shape.columns, 1}; }

// --- softmax_cross_entropy ------------------------------------------------------------------------------------------

template <typename T>
__device__ int64_t class_of(ClassLabels<T> labels, int64_t row) {
  return labels.narrow != nullptr ? labels.narrow[row] : labels.wide[row];
}

template <typename T>
__device__ T smoothed(T weight, ClassLabels<T> labels, int64_t columns) {
  return weight * T(1 - labels.smoothing) + T(labels.smoothing / double(columns));
}

// The loss from the row's cost -log p of each class. 0 * Inf counts as 0, so that a class ruled out by a logit of -Inf
// costs nothing where it has no weight, as with integer labels.
template <typename G, typename T>
__device__ T row_loss(ClassLabels<T> labels, const Kept<G, T>& z, T peak, T logsum, int64_t row, int64_t n) {
  T total = 0;
  if (labels.weights != nullptr) {
    each_column<G>(n, [&](int64_t c, int e) {
      const T t = smoothed(labels.weights[row * n + c], labels, n);
      if (t != T(0)) total += t * (logsum - (z.at(c, e) - peak));
    });
    return over_group<G>(total, Adds{});
  }
  const T own = logsum - (z.row[class_of(labels, row)] - peak);
  if (labels.smoothing == 0) return own;
  each_column<G>(n, [&](int64_t c, int e) { total += logsum - (z.at(c, e) - peak); });
  const T shared = T(labels.smoothing / double(n)) * over_group<G>(total, Adds{});
  return labels.smoothing == 1 ? shared : T(1 - labels.smoothing) * own + shared;  // no 0 * Inf
}

template <typename G, typename T>
__global__ void cross_entropy(ClassLabels<T> labels, const T* logits, T* losses, T* statistics, Rows rows) {
  const int64_t n = rows.columns;
  for (int64_t r = G::first_row(); r < rows.outer; r += G::row_step()) {
    Kept<G, T> z;
    z.load(logits, line_of(r, rows), n);
    T peak = -T(INFINITY), sum = 0;
    each_column<G>(n, [&](int64_t c, int e) { peak = larger(peak, z.at(c, e)); });
    peak = over_group<G>(peak, TakesLarger{});
    each_column<G>(n, [&](int64_t c, int e) { sum += exp(z.at(c, e) - peak); });
    const T logsum = log(over_group<G>(sum, Adds{}));
    const T loss = row_loss(labels, z, peak, logsum, r, n);
    if (G::lane() == 0) {
      statistics[2 * r] = peak;
      statistics[2 * r + 1] = logsum;
      losses[r] = loss;
    }
  }
}

// dz = dy (p * total - t), with total = sum t.
template <typename G, typename T>
__global__ void cross_entropy_backward(ClassLabels<T> labels, const T* logits, const T* statistics, const T* dy,
                                       T* dlogits, Rows rows) {
  const int64_t n = rows.columns;
  for (int64_t r = G::first_row(); r < rows.outer; r += G::row_step()) {
    const T peak = statistics[2 * r], logsum = statistics[2 * r + 1], scale = dy[r];
    const bool weighted = labels.weights != nullptr;
    const int64_t own = weighted ? -1 : class_of(labels, r);
    T total = 1;
    if (weighted) {
      total = 0;
      each_column<G>(n, [&](int64_t c, int) { total += smoothed(labels.weights[r * n + c], labels, n); });
      total = over_group<G>(total, Adds{});
    }
    each_column<G>(n, [&](int64_t c, int) {
      const T p = exp((logits[r * n + c] - peak) - logsum);
      const T t = weighted ? smoothed(labels.weights[r * n + c], labels, n) : T(labels.smoothing / double(n));
      T slope = scale * (p * total - t);
      if (c == own) slope -= scale * T(1 - labels.smoothing);
      dlogits[r * n + c] = slope;
    });
  }
}

template <typename T>
void softmax_forward(ClassLabels<T> labels, const T* logits, T* losses, T* statistics, LossShape shape) {
  if (shape.rows == 0) return;
  with_group(rows_of(shape), [&](auto group) {
    using G = decltype(group);
    launch<cross_entropy<G, T>>(G::grid(shape.rows), dim3(kThreads), 0, current_stream(), labels, logits, losses,
                                statistics, rows_of(shape));
  });
}

template <typename T>
void softmax_backward(ClassLabels<T> labels, const T* logits, const T* statistics, const T* dy, T* dlogits,
                      LossShape shape) {
  if (shape.rows == 0) return;
  with_group(rows_of(shape), [&](auto group) {
    using G = decltype(group);
    launch<cross_entropy_backward<G, T>>(G::grid(shape.rows), dim3(kThreads), 0, current_stream(), labels, logits,
                                         statistics, dy, dlogits, rows_of(shape));
  });
}

// --- sigmoid cross-entropy ------------------------------------------------------------------------------------------

template <typename T>
__global__ void sigmoid_cross_entropy(const T* labels, const T* logits, T* losses, int64_t count) {
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const T z = logits[i];
    losses[i] = larger(z, T(0)) - z * labels[i] + T(log1p(exp(-fabs(z))));
  }
}

template <typename T>
__global__ void sigmoid_cross_entropy_backward(const T* labels, const T* logits, const T* dy, T* dlogits,
                                               int64_t count) {
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    dlogits[i] = dy[i] * (sigmoid(logits[i]) - labels[i]);
  }
}

template <typename T>
void sigmoid_forward(const T* labels, const T* logits, T* losses, int64_t count) {
  launch<sigmoid_cross_entropy<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), labels, logits, losses, count);
}

template <typename T>
void sigmoid_backward(const T* labels, const T* logits, const T* dy, T* dlogits, int64_t count) {
  launch<sigmoid_cross_entropy_backward<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), labels, logits, dy,
                                            dlogits, count);
}

// --- mean_squared_error, mean_absolute_error, huber: means of a penalty of y - t ------------------------------------

template <typename T>
__device__ T penalty(Regression kind, T e, T delta) {
  if (kind == Regression::Squared) return e * e;
  const T size = fabs(e);
  if (kind == Regression::Absolute) return size;
  return size <= delta ? T(0.5) * e * e : delta * size - T(0.5) * delta * delta;
}

template <typename T>
__device__ T penalty_slope(Regression kind, T e, T delta) {
  if (kind == Regression::Squared) return e + e;
  if (kind == Regression::Huber) return smaller(larger(e, -delta), delta);
  return e > T(0) ? T(1) : e < T(0) ? T(-1) : e;  // 0 at 0, NaN for NaN
}

template <typename G, typename T>
__global__ void regression(Regression kind, T delta, const T* labels, const T* predictions, T* losses, Rows rows) {
  const int64_t n = rows.columns;
  for (int64_t r = G::first_row(); r < rows.outer; r += G::row_step()) {
    T sum = 0;
    each_column<G>(n, [&](int64_t c, int) { sum += penalty(kind, predictions[r * n + c] - labels[r * n + c], delta); });
    sum = over_group<G>(sum, Adds{});
    if (G::lane() == 0) losses[r] = sum / T(n);
  }
}

template <typename T>
__global__ void regression_slopes(Regression kind, T delta, const T* labels, const T* predictions, const T* dy,
                                  T* dpredictions, LossShape shape) {
  const int64_t n = shape.columns;
  for (int64_t i = grid_thread(); i < shape.rows * n; i += grid_threads()) {
    dpredictions[i] = dy[i / n] / T(n) * penalty_slope(kind, predictions[i] - labels[i], delta);
  }
}

template <typename T>
void regression_forward(Regression kind, double delta, const T* labels, const T* predictions, T* losses,
                        LossShape shape) {
  if (shape.rows == 0) return;
  with_group(rows_of(shape), [&](auto group) {
    using G = decltype(group);
    launch<regression<G, T>>(G::grid(shape.rows), dim3(kThreads), 0, current_stream(), kind, T(delta), labels,
                             predictions, losses, rows_of(shape));
  });
}

template <typename T>
void regression_backward(Regression kind, double delta, const T* labels, const T* predictions, const T* dy,
                         T* dpredictions, LossShape shape) {
  if (shape.rows * shape.columns == 0) return;
  launch<regression_slopes<T>>(grid_for(shape.rows * shape.columns), dim3(kThreads), 0, current_stream(), kind,
                               T(delta), labels, predictions, dy, dpredictions, shape);
}

template <typename T>
constexpr LossKernels<T> kKernels = {softmax_forward<T>,  softmax_backward<T>,   sigmoid_forward<T>,
                                     sigmoid_backward<T>, regression_forward<T>, regression_backward<T>};

}  // namespace

extern const PerType<LossKernels> loss_kernels;
const PerType<LossKernels> loss_kernels = {kKernels<float>, kKernels<double>};

}  // namespace RANVIER_GPU
}  // namespace ranvier
