#include "ops/softmax.h"

#include "cpu/row.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// One row at a time through L1: maximum; exponentials and their sum; scale. Rows whose elements lie
// apart (an axis before the last) are copied into a scratch row first.
template <typename T>
void softmax_row(const T* x, T* y, int64_t n) {
  const T peak = row_max(x, n);
  const T scale = 1 / exp_and_sum<T, true>(x, y, peak, n);
  for (int64_t i = 0; i < n; ++i) y[i] *= scale;
}

template <typename T>
void log_softmax_row(const T* x, T* y, int64_t n) {
  const T peak = row_max(x, n);
  const T shift = T(::log(double(exp_and_sum<T, false>(x, y, peak, n))));
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - peak) - shift;
}

template <typename T>
void softmax_row_backward(const T* y, const T* dy, T* dx, int64_t n) {
  Vec<T> total{};
  each_vector<T>(n, [&](int64_t i, int64_t left)
                        RANVIER_INLINED { total = fma(load_some(y + i, left), load_some(dy + i, left), total); });
  const T dot = sum_lanes<T>(total);
  for (int64_t i = 0; i < n; ++i) dx[i] = y[i] * (dy[i] - dot);
}

template <typename T>
void log_softmax_row_backward(const T* y, const T* dy, T* dx, int64_t n) {
  Vec<T> total{};
  each_vector<T>(n, [&](int64_t i, int64_t left) RANVIER_INLINED { total += load_some(dy + i, left); });
  const Vec<T> sum = broadcast(sum_lanes<T>(total));
  each_vector<T>(n, [&](int64_t i, int64_t left) RANVIER_INLINED {
    store_some(dx + i, load_some(dy + i, left) - exp(load_some(y + i, left)) * sum, left);
  });
}

template <typename T>
void gather_row(const T* from, T* to, Rows rows) {
  for (int64_t c = 0; c < rows.columns; ++c) to[c] = from[c * rows.inner];
}

template <typename T>
void scatter_row(const T* from, T* to, Rows rows) {
  for (int64_t c = 0; c < rows.columns; ++c) to[c * rows.inner] = from[c];
}

// Calls row(inputs..., output, columns) for each row; kInputs is 1 or 2.
template <typename T, typename RowBody>
void each_row(const T* a, const T* b, T* out, Rows rows, const RowBody& row) {
  if (rows.columns == 0) return;
  parallel(0, rows.outer * rows.inner, grain_for(8 * rows.columns), [&](int64_t begin, int64_t end) {
    T* strip = rows.inner == 1
                   ? nullptr
                   : static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * 3 * static_cast<uint64_t>(rows.columns)));
    for (int64_t r = begin; r < end; ++r) {
      const int64_t start = (r / rows.inner) * rows.columns * rows.inner + r % rows.inner;
      if (rows.inner == 1) {
        row(a + start, b == nullptr ? nullptr : b + start, out + start);
        continue;
      }
      gather_row(a + start, strip, rows);
      if (b != nullptr) gather_row(b + start, strip + rows.columns, rows);
      row(strip, strip + rows.columns, strip + 2 * rows.columns);
      scatter_row(strip + 2 * rows.columns, out + start, rows);
    }
  });
}

template <typename T>
void forward(const T* x, T* y, Rows rows) {
  each_row<T>(x, nullptr, y, rows, [&](const T* a, const T*, T* out) { softmax_row(a, out, rows.columns); });
}

template <typename T>
void backward(const T* y, const T* dy, T* dx, Rows rows) {
  each_row<T>(y, dy, dx, rows, [&](const T* a, const T* b, T* out) { softmax_row_backward(a, b, out, rows.columns); });
}

template <typename T>
void log_forward(const T* x, T* y, Rows rows) {
  each_row<T>(x, nullptr, y, rows, [&](const T* a, const T*, T* out) { log_softmax_row(a, out, rows.columns); });
}

template <typename T>
void log_backward(const T* y, const T* dy, T* dx, Rows rows) {
  each_row<T>(y, dy, dx, rows,
              [&](const T* a, const T* b, T* out) { log_softmax_row_backward(a, b, out, rows.columns); });
}

}  // namespace

extern const PerType<SoftmaxKernels> softmax_kernels;
const PerType<SoftmaxKernels> softmax_kernels = {
    {forward<float>, backward<float>, log_forward<float>, log_backward<float>},
    {forward<double>, backward<double>, log_forward<double>, log_backward<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
