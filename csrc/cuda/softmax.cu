// softmax and log_softmax along rows, and their gradients: a row is read once into registers (rows.h), and written
// once.
#include "ops/softmax.h"

#include "cuda/rows.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

template <typename G, typename T, bool kLogarithm>
__global__ void softmax_rows(const T* x, T* y, Rows rows) {
  for (int64_t r = G::first_row(); r < rows.outer * rows.inner; r += G::row_step()) {
    const Line line = line_of(r, rows);
    Kept<G, T> row;
    row.load(x, line, rows.columns);
    using W = Wide<T>;
    W peak = -W(INFINITY), sum = 0;
    each_column<G>(rows.columns, [&](int64_t c, int e) { peak = larger(peak, row.at(c, e)); });
    peak = over_group<G>(peak, TakesLarger{});
    each_column<G>(rows.columns, [&](int64_t c, int e) { sum += exp(row.at(c, e) - peak); });
    sum = over_group<G>(sum, Adds{});
    const W scale = kLogarithm ? W(log(sum)) : W(1) / sum;
    each_column<G>(rows.columns, [&](int64_t c, int e) {
      const W shifted = row.at(c, e) - peak;
      y[line.start + c * line.step] = rounded<T>(kLogarithm ? shifted - scale : W(exp(shifted)) * scale);
    });
  }
}

template <typename G, typename T, bool kLogarithm>
__global__ void softmax_rows_backward(const T* y, const T* dy, T* dx, Rows rows) {
  for (int64_t r = G::first_row(); r < rows.outer * rows.inner; r += G::row_step()) {
    const Line line = line_of(r, rows);
    Kept<G, T> out, upstream;
    out.load(y, line, rows.columns);
    upstream.load(dy, line, rows.columns);
    using W = Wide<T>;
    W sum = 0;
    each_column<G>(rows.columns,
                   [&](int64_t c, int e) { sum += kLogarithm ? upstream.at(c, e) : out.at(c, e) * upstream.at(c, e); });
    sum = over_group<G>(sum, Adds{});
    each_column<G>(rows.columns, [&](int64_t c, int e) {
      const W own = out.at(c, e), above = upstream.at(c, e);
      dx[line.start + c * line.step] = rounded<T>(kLogarithm ? above - W(exp(own)) * sum : own * (above - sum));
    });
  }
}

template <typename T, bool kLogarithm>
void forward(const T* x, T* y, Rows rows) {
  if (rows.outer * rows.inner * rows.columns == 0) return;
  with_group(rows, [&](auto group) {
    using G = decltype(group);
    launch<softmax_rows<G, T, kLogarithm>>(G::grid(rows.outer * rows.inner), dim3(kThreads), 0, current_stream(), x, y,
                                           rows);
  });
}

template <typename T, bool kLogarithm>
void backward(const T* y, const T* dy, T* dx, Rows rows) {
  if (rows.outer * rows.inner * rows.columns == 0) return;
  with_group(rows, [&](auto group) {
    using G = decltype(group);
    launch<softmax_rows_backward<G, T, kLogarithm>>(G::grid(rows.outer * rows.inner), dim3(kThreads), 0,
                                                    current_stream(), y, dy, dx, rows);
  });
}

}  // namespace

extern const PerType<SoftmaxKernels> softmax_kernels;
const PerType<SoftmaxKernels> softmax_kernels = {
    {forward<float, false>, backward<float, false>, forward<float, true>, backward<float, true>},
    {forward<double, false>, backward<double, false>, forward<double, true>, backward<double, true>},
    {forward<Float16, false>, backward<Float16, false>, forward<Float16, true>, backward<Float16, true>},
    {forward<BFloat16, false>, backward<BFloat16, false>, forward<BFloat16, true>, backward<BFloat16, true>},
};

}  // namespace RANVIER_GPU
}  // namespace ranvier
