#include "ops/softmax.h"

#include "cpu/row.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// A group of rows at a time through L1: maxima; exponentials and their sums; scale.
template <typename T>
void softmax_rows(const T* x, T* y, int64_t n, int64_t count) {
  T peaks[kWidth<T>], scales[kWidth<T>];
  store(peaks, row_maxima(x, n, count));
  store(scales, T(1) / exp_and_sums<T, true>(x, y, peaks, n, count));
  for (int64_t r = 0; r < count; ++r) {
    const Vec<T> scale = broadcast(scales[r]);
    T* row = y + r * n;
    each_vector<T>(n, [&](int64_t i, int64_t left)
                          RANVIER_INLINED { store_some(row + i, load_some(row + i, left) * scale, left); });
  }
}

template <typename T>
void log_softmax_rows(const T* x, T* y, int64_t n, int64_t count) {
  T peaks[kWidth<T>], shifts[kWidth<T>];
  store(peaks, row_maxima(x, n, count));
  store(shifts, log(exp_and_sums<T, false>(x, y, peaks, n, count)));
  for (int64_t r = 0; r < count; ++r) {
    const Vec<T> peak = broadcast(peaks[r]), shift = broadcast(shifts[r]);
    each_vector<T>(n, [&](int64_t i, int64_t left) RANVIER_INLINED {
      store_some(y + r * n + i, (load_some(x + r * n + i, left) - peak) - shift, left);
    });
  }
}

template <typename T>
void softmax_rows_backward(const T* y, const T* dy, T* dx, int64_t n, int64_t count) {
  Vec<T> parts[kWidth<T>];
  each_part<T>(parts, count, [&](int64_t r) RANVIER_INLINED {
    Vec<T> total{};
    each_vector<T>(n, [&](int64_t i, int64_t left) RANVIER_INLINED {
      total = fma(load_some(y + r * n + i, left), load_some(dy + r * n + i, left), total);
    });
    return total;
  });
  T dots[kWidth<T>];
  store(dots, sum_each<T>(parts));
  for (int64_t r = 0; r < count; ++r) {
    const Vec<T> dot = broadcast(dots[r]);
    each_vector<T>(n, [&](int64_t i, int64_t left) RANVIER_INLINED {
      const int64_t at = r * n + i;
      store_some(dx + at, load_some(y + at, left) * (load_some(dy + at, left) - dot), left);
    });
  }
}

template <typename T>
void log_softmax_rows_backward(const T* y, const T* dy, T* dx, int64_t n, int64_t count) {
  Vec<T> parts[kWidth<T>];
  each_part<T>(parts, count, [&](int64_t r) RANVIER_INLINED {
    Vec<T> total{};
    each_vector<T>(n, [&](int64_t i, int64_t left) RANVIER_INLINED { total += load_some(dy + r * n + i, left); });
    return total;
  });
  T sums[kWidth<T>];
  store(sums, sum_each<T>(parts));
  for (int64_t r = 0; r < count; ++r) {
    const Vec<T> sum = broadcast(sums[r]);
    each_vector<T>(n, [&](int64_t i, int64_t left) RANVIER_INLINED {
      const int64_t at = r * n + i;
      store_some(dx + at, load_some(dy + at, left) - exp(load_some(y + at, left)) * sum, left);
    });
  }
}

// Rows whose elements lie apart (an axis before the last): some adjacent ones are turned into rows of their own.
template <typename T>
void gather_rows(const T* from, T* to, Rows rows, int64_t count) {
  for (int64_t c = 0; c < rows.columns; ++c) {
    for (int64_t r = 0; r < count; ++r) to[r * rows.columns + c] = from[c * rows.inner + r];
  }
}

template <typename T>
void scatter_rows(const T* from, T* to, Rows rows, int64_t count) {
  for (int64_t c = 0; c < rows.columns; ++c) {
    for (int64_t r = 0; r < count; ++r) to[c * rows.inner + r] = from[r * rows.columns + c];
  }
}

// Calls body(inputs..., output, columns, count) for groups of rows.
template <typename T, typename Body>
void each_rows(const T* a, const T* b, T* out, Rows rows, const Body& body) {
  const int64_t n = rows.columns;
  if (n == 0) return;
  if (rows.inner == 1) {
    parallel(0, rows.outer, grain_for(8 * n), [&](int64_t begin, int64_t end) {
      each_group<T>(begin, end, n, [&](int64_t r, int64_t count) {
        body(a + r * n, b == nullptr ? nullptr : b + r * n, out + r * n, n, count);
      });
    });
    return;
  }
  const int64_t strips = ceil_div(rows.inner, kWidth<T>), strip = n * kWidth<T>;
  parallel(0, rows.outer * strips, grain_for(8 * strip), [&](int64_t begin, int64_t end) {
    T* room = static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * 3 * static_cast<uint64_t>(strip)));
    for (int64_t u = begin; u < end; ++u) {
      const int64_t first = u % strips * kWidth<T>, start = u / strips * n * rows.inner + first;
      const int64_t wide = min_of(kWidth<T>, rows.inner - first);
      gather_rows(a + start, room, rows, wide);
      if (b != nullptr) gather_rows(b + start, room + strip, rows, wide);
      each_group<T>(0, wide, n, [&](int64_t r, int64_t count) {
        body(room + r * n, room + strip + r * n, room + 2 * strip + r * n, n, count);
      });
      scatter_rows(room + 2 * strip, out + start, rows, wide);
    }
  });
}

// Rows of one element: 1 or 0, its logarithm, unless x is NaN or infinite.
template <typename T>
void alone(const T* x, T* y, T value, Rows rows) {
  parallel(0, rows.outer * rows.inner, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = value + (x[i] - x[i]);
  });
}

template <typename T>
void forward(const T* x, T* y, Rows rows) {
  if (rows.columns == 1) return alone(x, y, T(1), rows);
  each_rows<T>(x, nullptr, y, rows,
               [](const T* a, const T*, T* out, int64_t n, int64_t count) { softmax_rows(a, out, n, count); });
}

template <typename T>
void backward(const T* y, const T* dy, T* dx, Rows rows) {
  each_rows<T>(y, dy, dx, rows, softmax_rows_backward<T>);
}

template <typename T>
void log_forward(const T* x, T* y, Rows rows) {
  if (rows.columns == 1) return alone(x, y, T(0), rows);
  each_rows<T>(x, nullptr, y, rows,
               [](const T* a, const T*, T* out, int64_t n, int64_t count) { log_softmax_rows(a, out, n, count); });
}

template <typename T>
void log_backward(const T* y, const T* dy, T* dx, Rows rows) {
  each_rows<T>(y, dy, dx, rows, log_softmax_rows_backward<T>);
}

}  // namespace

extern const PerType<SoftmaxKernels> softmax_kernels;
const PerType<SoftmaxKernels> softmax_kernels = {
    {forward<float>, backward<float>, log_forward<float>, log_backward<float>},
    {forward<double>, backward<double>, log_forward<double>, log_backward<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
