// Layer, group and instance norm: a warp or a block for each group of a sample (rows.h), which reads it for its mean,
// for the squares around the mean, and to write y; a row of layer norm is read once, into registers.
#include "ops/group_norm.h"

#include "cuda/rows.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// The elements of one group: `count` of them, `size` side by side at each position.
struct Member {
  int64_t sample, group, size, channels, groups;
  __device__ int64_t channel(int64_t e) const { return group * size + e % size; }
  __device__ int64_t place(int64_t e, int64_t positions) const {
    return (sample * positions + e / size) * channels + channel(e);
  }
};
__device__ Member member_of(int64_t row, GroupShape s) {
  return {row / s.groups, row % s.groups, s.channels / s.groups, s.channels, s.groups};
}

// As rows of positions times channels of a group.
Rows rows_of(GroupShape s) { return {s.samples * s.groups, s.positions * (s.channels / s.groups), 1}; }

template <typename G, typename T>
__global__ void normalise(const T* x, GroupScale<T> by, T* y, double epsilon, GroupShape s, Rows rows) {
  const int64_t n = rows.columns;
  for (int64_t r = G::first_row(); r < rows.outer; r += G::row_step()) {
    const Member own = member_of(r, s);
    using W = Wide<T>;
    W kept[G::kEach > 0 ? G::kEach : 1] = {};
    if constexpr (G::kEach > 0) {
      each_column<G>(n, [&](int64_t c, int e) { kept[e] = wide(x[own.place(c, s.positions)]); });
    }
    const auto at = [&](int64_t c, int e) { return G::kEach > 0 ? kept[e] : wide(x[own.place(c, s.positions)]); };
    double sum = 0, squares = 0;
    each_column<G>(n, [&](int64_t c, int e) { sum += double(at(c, e)); });
    const double mean = over_group<G>(sum, Adds{}) / double(n);
    each_column<G>(n, [&](int64_t c, int e) { squares += (double(at(c, e)) - mean) * (double(at(c, e)) - mean); });
    const double variance = over_group<G>(squares, Adds{}) / double(n), rstd = 1 / sqrt(variance + epsilon);
    if (G::lane() == 0) {
      by.mean[r] = W(mean);
      by.rstd[r] = W(rstd);
    }
    each_column<G>(n, [&](int64_t c, int e) {
      const int64_t channel = own.channel(c);
      const W scale = by.gamma == nullptr ? W(rstd) : W(rstd) * by.gamma[channel];
      const W shift = by.beta == nullptr ? W(0) : by.beta[channel];
      y[own.place(c, s.positions)] = rounded<T>(fma(at(c, e) - W(mean), scale, shift));
    });
  }
}

// dx = rstd (gamma dy - (sum gamma dy + xhat sum gamma dy xhat) / M)
template <typename G, typename T>
__global__ void input_gradient(const T* x, const T* dy, GroupScale<T> by, T* dx, GroupShape s, Rows rows) {
  const int64_t n = rows.columns;
  for (int64_t r = G::first_row(); r < rows.outer; r += G::row_step()) {
    const Member own = member_of(r, s);
    const Wide<T> mean = by.mean[r], rstd = by.rstd[r];
    double plain = 0, along = 0;
    each_column<G>(n, [&](int64_t c, int) {
      const int64_t i = own.place(c, s.positions);
      const double scaled = double(wide(dy[i])) * (by.gamma == nullptr ? 1.0 : double(by.gamma[own.channel(c)]));
      plain += scaled;
      along += scaled * double((wide(x[i]) - mean) * rstd);
    });
    plain = over_group<G>(plain, Adds{}) / double(n);
    along = over_group<G>(along, Adds{}) / double(n);
    each_column<G>(n, [&](int64_t c, int) {
      const int64_t i = own.place(c, s.positions);
      const double scaled = double(wide(dy[i])) * (by.gamma == nullptr ? 1.0 : double(by.gamma[own.channel(c)]));
      dx[i] = rounded<T>(Wide<T>(double(rstd) * (scaled - (plain + double((wide(x[i]) - mean) * rstd) * along))));
    });
  }
}

// Sums over a chunk of samples, a thread a channel; then over the chunks, in order.
template <typename T>
__global__ void chunk_gradients(const T* x, const T* dy, GroupScale<T> by, Wide<T>* partials, GroupShape s) {
  const int64_t chunks = group_norm_chunks(s.samples), each = ceil_div(s.samples, chunks), size = s.channels / s.groups;
  for (int64_t t = grid_thread(); t < chunks * s.channels; t += grid_threads()) {
    const int64_t chunk = t / s.channels, c = t % s.channels;
    const int64_t end = (chunk + 1) * each < s.samples ? (chunk + 1) * each : s.samples;
    double along = 0, plain = 0;
    for (int64_t sample = chunk * each; sample < end; ++sample) {
      const int64_t row = sample * s.groups + c / size;
      for (int64_t p = 0; p < s.positions; ++p) {
        const int64_t i = (sample * s.positions + p) * s.channels + c;
        along += double(wide(dy[i])) * double((wide(x[i]) - by.mean[row]) * by.rstd[row]);
        plain += double(wide(dy[i]));
      }
    }
    partials[chunk * 2 * s.channels + c] = Wide<T>(along);
    partials[(chunk * 2 + 1) * s.channels + c] = Wide<T>(plain);
  }
}

template <typename T>
__global__ void merge_chunks(const Wide<T>* partials, Wide<T>* dgamma, Wide<T>* dbeta, GroupShape s) {
  for (int64_t c = grid_thread(); c < s.channels; c += grid_threads()) {
    double along = 0, plain = 0;
    for (int64_t chunk = 0; chunk < group_norm_chunks(s.samples); ++chunk) {
      along += double(partials[chunk * 2 * s.channels + c]);
      plain += double(partials[(chunk * 2 + 1) * s.channels + c]);
    }
    dgamma[c] = Wide<T>(along);
    dbeta[c] = Wide<T>(plain);
  }
}

template <typename T>
void forward(const T* x, GroupScale<T> by, T* y, double epsilon, GroupShape shape) {
  const Rows rows = rows_of(shape);
  if (rows.outer == 0) return;
  with_group(rows, [&](auto group) {
    using G = decltype(group);
    launch<normalise<G, T>>(G::grid(rows.outer), dim3(kThreads), 0, current_stream(), x, by, y, epsilon, shape, rows);
  });
}

template <typename T>
void gradients(const T* x, const T* dy, GroupScale<T> by, GroupGradients<T> out, GroupShape shape) {
  const Rows rows = rows_of(shape);
  if (out.dx != nullptr && rows.outer > 0) {
    with_group(rows, [&](auto group) {
      using G = decltype(group);
      launch<input_gradient<G, T>>(G::grid(rows.outer), dim3(kThreads), 0, current_stream(), x, dy, by, out.dx, shape,
                                   rows);
    });
  }
  if (out.dgamma == nullptr || shape.channels == 0) return;
  const int64_t count = group_norm_chunks(shape.samples) * shape.channels;
  if (count > 0) {
    launch<chunk_gradients<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), x, dy, by, out.partials, shape);
  }
  launch<merge_chunks<T>>(grid_for(shape.channels), dim3(kThreads), 0, current_stream(),
                          static_cast<const Wide<T>*>(out.partials), out.dgamma, out.dbeta, shape);
}

}  // namespace

extern const PerType<GroupNormKernels> group_norm_kernels;
const PerType<GroupNormKernels> group_norm_kernels = {{forward<float>, gradients<float>},
                                                      {forward<double>, gradients<double>},
                                                      {forward<Float16>, gradients<Float16>},
                                                      {forward<BFloat16>, gradients<BFloat16>}};

}  // namespace RANVIER_GPU
}  // namespace ranvier
