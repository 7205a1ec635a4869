#include "ops/loss.h"

#include "cpu/activation_math.h"
#include "cpu/row.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// --- softmax cross-entropy: a row stays in L1 between its passes --------------------------------------------

template <typename T>
RANVIER_INLINE int64_t class_of(ClassLabels<T> labels, int64_t row) {
  return labels.narrow != nullptr ? labels.narrow[row] : labels.wide[row];
}

template <typename T>
RANVIER_INLINE Vec<T> smoothed(const T* weights, int64_t left, ClassLabels<T> labels, int64_t columns) {
  const T keep = T(1 - labels.smoothing), spread = T(labels.smoothing / double(columns));
  return load_some(weights, left) * broadcast(keep) + broadcast(spread);
}

// sum_c t_c (logsum - (z_c - peak)): a sum of terms that are not negative. 0 * Inf counts as 0, so that a class
// ruled out by a logit of -Inf costs nothing where it has no weight, as with integer labels.
template <typename T>
T weighted_loss(const T* z, const T* weights, T peak, T logsum, ClassLabels<T> labels, int64_t n) {
  Vec<T> total{};
  each_vector<T>(n, [&](int64_t i, int64_t left) RANVIER_INLINED {
    const Vec<T> t = smoothed(weights + i, left, labels, n);
    const Vec<T> cost = t * (broadcast(logsum) - (load_some(z + i, left) - broadcast(peak)));
    total += first_lanes<T>(select(t == Vec<T>{}, Vec<T>{}, cost), left);
  });
  return sum_lanes<T>(total);
}

template <typename T>
T class_loss(const T* z, int64_t label, T peak, T logsum, double smoothing, int64_t n) {
  const T own = logsum - (z[label] - peak);
  if (smoothing == 0) return own;
  Vec<T> total{};
  each_vector<T>(n, [&](int64_t i, int64_t left) RANVIER_INLINED {
    total += first_lanes<T>(broadcast(logsum) - (load_some(z + i, left) - broadcast(peak)), left);
  });
  const T shared = T(smoothing / double(n)) * sum_lanes<T>(total);
  return smoothing == 1 ? shared : T(1 - smoothing) * own + shared;  // no 0 * Inf
}

template <typename T>
void softmax_cross_entropy_forward(ClassLabels<T> labels, const T* logits, T* losses, T* statistics, LossShape shape) {
  const int64_t n = shape.columns;
  parallel(0, shape.rows, grain_for(8 * n), [&](int64_t begin, int64_t end) {
    each_group<T>(begin, end, n, [&](int64_t first, int64_t count) {
      T peaks[kWidth<T>], logsums[kWidth<T>];
      store(peaks, row_maxima(logits + first * n, n, count));
      store(logsums, log(exp_and_sums<T, false>(logits + first * n, nullptr, peaks, n, count)));
      for (int64_t i = 0; i < count; ++i) {
        const int64_t r = first + i;
        const T* z = logits + r * n;
        statistics[2 * r] = peaks[i];
        statistics[2 * r + 1] = logsums[i];
        losses[r] = labels.weights != nullptr
                        ? weighted_loss(z, labels.weights + r * n, peaks[i], logsums[i], labels, n)
                        : class_loss(z, class_of(labels, r), peaks[i], logsums[i], labels.smoothing, n);
      }
    });
  });
}

template <typename T>
T weight_total(const T* weights, ClassLabels<T> labels, int64_t n) {
  Vec<T> total{};
  each_vector<T>(n, [&](int64_t i, int64_t left)
                        RANVIER_INLINED { total += first_lanes<T>(smoothed(weights + i, left, labels, n), left); });
  return sum_lanes<T>(total);
}

// dz = dy (p * total - t), where an integer label's t is `spread` everywhere, put right at the label afterwards.
template <typename T>
void softmax_row_backward(const T* z, const T* statistics, T dy, int64_t row, ClassLabels<T> labels, T* dz, int64_t n) {
  const Vec<T> peak = broadcast(statistics[0]), logsum = broadcast(statistics[1]), scale = broadcast(dy);
  const T* weights = labels.weights == nullptr ? nullptr : labels.weights + row * n;
  const Vec<T> total = broadcast(weights == nullptr ? T(1) : weight_total(weights, labels, n));
  const Vec<T> spread = broadcast(T(labels.smoothing / double(n)));
  const auto slope = [&](int64_t i, int64_t left, Vec<T> logits) {
    const Vec<T> p = decay((logits - peak) - logsum);
    return scale * (p * total - (weights == nullptr ? spread : smoothed(weights + i, left, labels, n)));
  };
  int64_t i = 0;
  for (; i + kWidth<T> <= n; i += kWidth<T>) store(dz + i, slope(i, kWidth<T>, load(z + i)));
  if (i < n) store_some(dz + i, slope(i, n - i, load_some(z + i, n - i)), n - i);
  if (weights == nullptr) dz[class_of(labels, row)] -= dy * T(1 - labels.smoothing);
}

template <typename T>
void softmax_cross_entropy_backward(ClassLabels<T> labels, const T* logits, const T* statistics, const T* dy,
                                    T* dlogits, LossShape shape) {
  const int64_t n = shape.columns;
  parallel(0, shape.rows, grain_for(4 * n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      softmax_row_backward(logits + r * n, statistics + 2 * r, dy[r], r, labels, dlogits + r * n, n);
    }
  });
}

// --- sigmoid cross-entropy ------------------------------------------------------------------------------------

template <typename T>
void sigmoid_cross_entropy_forward(const T* labels, const T* logits, T* losses, int64_t count) {
  parallel(0, count, grain_for(4), [&](int64_t begin, int64_t end) {
    each_vector<T>(end - begin, [&](int64_t at, int64_t left) RANVIER_INLINED {
      const int64_t i = begin + at;
      const Vec<T> z = load_some(logits + i, left);
      const Vec<T> linear = at_least(z, 0) - z * load_some(labels + i, left);
      store_some(losses + i, linear + log_one_plus<T>(decay(-magnitude<T>(z))), left);
    });
  });
}

template <typename T>
void sigmoid_cross_entropy_backward(const T* labels, const T* logits, const T* dy, T* dlogits, int64_t count) {
  parallel(0, count, grain_for(4), [&](int64_t begin, int64_t end) {
    each_vector<T>(end - begin, [&](int64_t at, int64_t left) RANVIER_INLINED {
      const int64_t i = begin + at;
      const Vec<T> slope = sigmoid(load_some(logits + i, left)) - load_some(labels + i, left);
      store_some(dlogits + i, load_some(dy + i, left) * slope, left);
    });
  });
}

// --- mean_squared_error, mean_absolute_error, huber: means of a penalty of y - t ------------------------------

template <typename T, Regression kKind>
RANVIER_INLINE Vec<T> penalty(Vec<T> e, T delta) {
  if (kKind == Regression::Squared) return e * e;
  const Vec<T> size = magnitude<T>(e), d = broadcast(delta), half = broadcast<T>(0.5);
  if (kKind == Regression::Absolute) return size;
  return select(size <= d, half * e * e, d * size - half * d * d);
}

template <typename T, Regression kKind>
RANVIER_INLINE Vec<T> slope(Vec<T> e, T delta) {
  if (kKind == Regression::Squared) return e + e;
  if (kKind == Regression::Huber) return clamp<T>(e, -delta, delta);
  const Vec<T> limit = broadcast<T>(1);
  const Vec<T> zero{};
  return select(e > zero, limit, select(e < zero, -limit, e));  // 0 at 0, NaN for NaN
}

// Rows of one element, whose loss and slope are those of the element: many rows a vector.
template <typename T, Regression kKind>
void regression_elements(T delta, const T* labels, const T* predictions, T* losses, int64_t rows) {
  parallel(0, rows, grain_for(1), [&](int64_t begin, int64_t end) {
    each_vector<T>(end - begin, [&](int64_t at, int64_t left) RANVIER_INLINED {
      const int64_t i = begin + at;
      const Vec<T> e = load_some(predictions + i, left) - load_some(labels + i, left);
      store_some(losses + i, penalty<T, kKind>(e, delta), left);
    });
  });
}

template <typename T, Regression kKind>
void regression_element_slopes(T delta, const T* labels, const T* predictions, const T* dy, T* dpredictions,
                               int64_t rows) {
  parallel(0, rows, grain_for(1), [&](int64_t begin, int64_t end) {
    each_vector<T>(end - begin, [&](int64_t at, int64_t left) RANVIER_INLINED {
      const int64_t i = begin + at;
      const Vec<T> e = load_some(predictions + i, left) - load_some(labels + i, left);
      store_some(dpredictions + i, load_some(dy + i, left) * slope<T, kKind>(e, delta), left);
    });
  });
}

template <typename T, Regression kKind>
void regression_rows(T delta, const T* labels, const T* predictions, T* losses, LossShape shape) {
  const int64_t n = shape.columns;
  if (n == 1) return regression_elements<T, kKind>(delta, labels, predictions, losses, shape.rows);
  parallel(0, shape.rows, grain_for(n), [&](int64_t begin, int64_t end) {
    each_group<T>(begin, end, n, [&](int64_t first, int64_t count) {
      Vec<T> parts[kWidth<T>];
      each_part<T>(parts, count, [&](int64_t r) RANVIER_INLINED {
        const T *t = labels + (first + r) * n, *y = predictions + (first + r) * n;
        Vec<T> total{};  // lanes past the end have no error and cost nothing
        each_vector<T>(n, [&](int64_t i, int64_t left) RANVIER_INLINED {
          total += penalty<T, kKind>(load_some(y + i, left) - load_some(t + i, left), delta);
        });
        return total;
      });
      store_some(losses + first, sum_each<T>(parts) / broadcast(T(n)), count);
    });
  });
}

template <typename T, Regression kKind>
void regression_slopes(T delta, const T* labels, const T* predictions, const T* dy, T* dpredictions, LossShape shape) {
  const int64_t n = shape.columns;
  if (n == 1) return regression_element_slopes<T, kKind>(delta, labels, predictions, dy, dpredictions, shape.rows);
  parallel(0, shape.rows, grain_for(n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T *t = labels + r * n, *y = predictions + r * n;
      const Vec<T> scale = broadcast(dy[r] / T(n));
      each_vector<T>(n, [&](int64_t i, int64_t left) RANVIER_INLINED {
        const Vec<T> e = load_some(y + i, left) - load_some(t + i, left);
        store_some(dpredictions + r * n + i, scale * slope<T, kKind>(e, delta), left);
      });
    }
  });
}

template <typename T>
void regression_forward(Regression kind, double delta, const T* labels, const T* predictions, T* losses,
                        LossShape shape) {
  const auto rows = kind == Regression::Squared    ? regression_rows<T, Regression::Squared>
                    : kind == Regression::Absolute ? regression_rows<T, Regression::Absolute>
                                                   : regression_rows<T, Regression::Huber>;
  rows(T(delta), labels, predictions, losses, shape);
}

template <typename T>
void regression_backward(Regression kind, double delta, const T* labels, const T* predictions, const T* dy,
                         T* dpredictions, LossShape shape) {
  const auto slopes = kind == Regression::Squared    ? regression_slopes<T, Regression::Squared>
                      : kind == Regression::Absolute ? regression_slopes<T, Regression::Absolute>
                                                     : regression_slopes<T, Regression::Huber>;
  slopes(T(delta), labels, predictions, dy, dpredictions, shape);
}

}  // namespace

extern const PerType<LossKernels> loss_kernels;
const PerType<LossKernels> loss_kernels = {
    {softmax_cross_entropy_forward<float>, softmax_cross_entropy_backward<float>, sigmoid_cross_entropy_forward<float>,
     sigmoid_cross_entropy_backward<float>, regression_forward<float>, regression_backward<float>},
    {softmax_cross_entropy_forward<double>, softmax_cross_entropy_backward<double>,
     sigmoid_cross_entropy_forward<double>, sigmoid_cross_entropy_backward<double>, regression_forward<double>,
     regression_backward<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
