#include "ops/norm.h"

#include "cpu/row.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// A block of rows is read as rows of `span` elements: `fold` rows at once where channels are few, so that vectors are
// full whatever the number of channels. The last such row may be shorter.
template <typename T>
int64_t fold_of(int64_t channels) {
  if (channels >= 4 * kWidth<T>) return 1;
  return channels % kWidth<T> == 0 ? 4 * kWidth<T> / channels : kWidth<T>;
}

template <typename T>
struct Block {
  int64_t begin;     // first element
  int64_t elements;  // of the block
  int64_t span;
};

template <typename T>
Block<T> block_of(int64_t index, NormShape shape) {
  const int64_t rows = norm_block_rows(shape.channels), first = index * rows;
  const int64_t count = min_of(rows, shape.rows - first);
  return {first * shape.channels, count * shape.channels, fold_of<T>(shape.channels) * shape.channels};
}

template <typename T, typename Body>
void each_block(NormShape shape, const Body& body) {
  if (shape.channels == 0) return;
  const int64_t grain = grain_for(norm_block_rows(shape.channels) * shape.channels);
  parallel(0, norm_blocks(shape), grain, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) body(b, block_of<T>(b, shape));
  });
}

// `fold` copies of per-channel values, one after the other: out[i] = of(i % channels).
template <typename T, typename Of>
void repeat(T* out, int64_t channels, int64_t span, const Of& of) {
  for (int64_t c = 0; c < channels; ++c) out[c] = of(c);
  for (int64_t i = channels; i < span; ++i) out[i] = out[i - channels];
}

template <typename T>
T* span_scratch(ScratchSlot slot, int64_t span, int64_t arrays) {
  return static_cast<T*>(thread_scratch(slot, sizeof(T) * static_cast<uint64_t>(span * arrays)));
}

// --- sums down the columns of a block: four vectors of columns at a time, in registers -----------------------

constexpr int kStrip = 4;

// Calls add(v, at, left) for each of the strip's vectors in each row: v of kStrip, element, lanes that count.
template <typename T, typename Add>
RANVIER_INLINE void strip_rows(const Block<T>& block, int64_t column, const Add& add) {
  const int64_t width = min_of(kStrip * kWidth<T>, block.span - column);
  int64_t at = column;
  if (width == kStrip * kWidth<T>) {
    for (; at + width <= block.elements; at += block.span) {
#pragma GCC unroll 4
      for (int v = 0; v < kStrip; ++v) add(v, at + v * kWidth<T>, kWidth<T>);
    }
  }
  for (; at < block.elements; at += block.span) {
    const int64_t here = min_of(width, block.elements - at);
#pragma GCC unroll 4
    for (int v = 0; v < kStrip; ++v) {
      const int64_t left = min_of(kWidth<T>, here - v * kWidth<T>);
      if (left > 0) add(v, at + v * kWidth<T>, left);
    }
  }
}

template <typename T>
RANVIER_INLINE void store_strip(T* out, const Vec<T>* sums, int64_t column, int64_t span) {
  for (int v = 0; v < kStrip; ++v) {
    const int64_t left = min_of(kWidth<T>, span - column - v * kWidth<T>);
    if (left > 0) store_partial(out + column + v * kWidth<T>, sums[v], left);
  }
}

// How many of the block's span-long rows reach a column.
template <typename T>
RANVIER_INLINE T rows_at(const Block<T>& block, int64_t column) {
  return T(block.elements / block.span + (column < block.elements % block.span ? 1 : 0));
}

// Mean and sum of squared deviations of each of `span` columns: two passes, the second out of the cache.
template <typename T>
void column_moments(const T* x, const Block<T>& block, T* mean, T* squares) {
  for (int64_t column = 0; column < block.span; column += kStrip * kWidth<T>) {
    Vec<T> sums[kStrip] = {}, deviations[kStrip] = {};
    strip_rows<T>(block, column, [&](int v, int64_t at, int64_t left) { sums[v] += load_partial(x + at, left); });
    for (int v = 0; v < kStrip; ++v) {
      T lanes[kWidth<T>];
      store(lanes, sums[v]);
      for (int i = 0; i < kWidth<T>; ++i) {
        const T rows = rows_at(block, column + v * kWidth<T> + i);
        lanes[i] = rows > 0 ? lanes[i] / rows : T(0);
      }
      sums[v] = load(lanes);
    }
    strip_rows<T>(block, column, [&](int v, int64_t at, int64_t left) {
      const Vec<T> d = first_lanes<T>(load_partial(x + at, left) - sums[v], left);
      deviations[v] = fma(d, d, deviations[v]);
    });
    store_strip(mean, sums, column, block.span);
    store_strip(squares, deviations, column, block.span);
  }
}

// Chan's merge of two groups' means and sums of squared deviations: (n, mean, squares) takes in another group.
template <typename A, typename T>
RANVIER_INLINE void merge_moments(A& mean, A& squares, T other_mean, T other_squares, A share, A weight) {
  const A delta = A(other_mean) - mean;
  mean = mean * (1 - share) + A(other_mean) * share;     // share = m / (n + m); not mean + delta * share: Inf stays Inf
  squares += A(other_squares) + delta * delta * weight;  // weight = n m / (n + m)
}

template <typename T>
void block_moments(const T* x, const Block<T>& block, int64_t channels, T* mean, T* squares) {
  T* columns = span_scratch<T>(kScratchA, block.span, 2);
  T* column_squares = columns + block.span;
  column_moments(x + block.begin, {0, block.elements, block.span}, columns, column_squares);
  for (int64_t c = 0; c < channels; ++c) {
    mean[c] = columns[c];
    squares[c] = column_squares[c];
    T n = rows_at(block, c);
    for (int64_t i = c + channels; i < block.span; i += channels) {
      const T m = rows_at(block, i);
      if (m == 0) break;
      merge_moments<T, T>(mean[c], squares[c], columns[i], column_squares[i], m / (n + m), n * m / (n + m));
      n += m;
    }
  }
}

// --- statistics -----------------------------------------------------------------------------------------------

template <typename T>
void merge_blocks(const T* partials, NormShape shape, double* mean, double* squares) {
  const int64_t channels = shape.channels, block_rows = norm_block_rows(channels);
  for (int64_t c = 0; c < channels; ++c) mean[c] = squares[c] = 0;
  for (int64_t b = 0; b < norm_blocks(shape); ++b) {
    const double n = double(b * block_rows), m = double(min_of(block_rows, shape.rows - b * block_rows));
    const T* own = partials + b * 2 * channels;
    for (int64_t c = 0; c < channels; ++c) {
      merge_moments<double, T>(mean[c], squares[c], own[c], own[channels + c], m / (n + m), n * m / (n + m));
    }
  }
}

template <typename T>
void batch_statistics(const T* x, T* partials, T* mean, T* rstd, MovingStatistics<T> moving, double epsilon,
                      NormShape shape) {
  const int64_t channels = shape.channels;
  each_block<T>(shape, [&](int64_t b, const Block<T>& block) {
    T* own = partials + b * 2 * channels;
    block_moments(x, block, channels, own, own + channels);
  });
  double* totals = span_scratch<double>(kScratchB, channels, 2);
  merge_blocks(partials, shape, totals, totals + channels);
  const double keep = moving.momentum, take = 1 - keep;
  for (int64_t c = 0; c < channels; ++c) {
    const double variance = shape.rows > 0 ? totals[channels + c] / double(shape.rows) : 0;
    mean[c] = T(totals[c]);
    rstd[c] = T(1 / ::sqrt(variance + epsilon));
    if (shape.rows == 0) continue;  // an empty batch says nothing
    moving.mean[c] = T(double(moving.mean[c]) * keep + totals[c] * take);
    moving.variance[c] = T(double(moving.variance[c]) * keep + variance * take);
  }
}

template <typename T>
void moving_statistics(MovingStatistics<T> moving, T* mean, T* rstd, double epsilon, int64_t channels) {
  for (int64_t c = 0; c < channels; ++c) {
    mean[c] = moving.mean[c];
    rstd[c] = T(1 / ::sqrt(double(moving.variance[c]) + epsilon));
  }
}

// --- y = (x - mean) scale + shift -----------------------------------------------------------------------------

// Calls at(i, column, left) for each vector of a block: element, place within the span, lanes.
template <typename T, typename At>
RANVIER_INLINE void each_vector(const Block<T>& block, const At& at) {
  for (int64_t row = 0; row < block.elements; row += block.span) {
    const int64_t width = min_of(block.span, block.elements - row);
    int64_t i = 0;
    for (; i + kWidth<T> <= width; i += kWidth<T>) at(block.begin + row + i, i, kWidth<T>);
    if (i < width) at(block.begin + row + i, i, width - i);
  }
}

template <typename T>
void batch_norm_output(const T* x, const T* mean, const T* rstd, const T* gamma, const T* beta, T* y, NormShape shape) {
  each_block<T>(shape, [&](int64_t, const Block<T>& block) {
    T *centre = span_scratch<T>(kScratchA, block.span, 3), *scale = centre + block.span, *shift = scale + block.span;
    repeat(centre, shape.channels, block.span, [&](int64_t c) { return mean[c]; });
    repeat(scale, shape.channels, block.span,
           [&](int64_t c) { return gamma == nullptr ? rstd[c] : rstd[c] * gamma[c]; });
    repeat(shift, shape.channels, block.span, [&](int64_t c) { return beta == nullptr ? T(0) : beta[c]; });
    each_vector<T>(block, [&](int64_t i, int64_t k, int64_t left) {
      const Vec<T> centred = load_partial(x + i, left) - load_partial(centre + k, left);
      store_partial(y + i, fma(centred, load_partial(scale + k, left), load_partial(shift + k, left)), left);
    });
  });
}

// --- gradients ------------------------------------------------------------------------------------------------

template <typename T>
void block_gradients(const T* x, const T* dy, const T* mean, const Block<T>& block, int64_t channels, T* dgamma,
                     T* dbeta) {
  T *centre = span_scratch<T>(kScratchA, block.span, 3), *along = centre + block.span, *plain = along + block.span;
  repeat(centre, channels, block.span, [&](int64_t c) { return mean[c]; });
  x += block.begin;
  dy += block.begin;
  for (int64_t column = 0; column < block.span; column += kStrip * kWidth<T>) {
    Vec<T> products[kStrip] = {}, sums[kStrip] = {}, centres[kStrip] = {};
    for (int v = 0; v < kStrip; ++v) {
      const int64_t left = min_of(kWidth<T>, block.span - column - v * kWidth<T>);
      if (left > 0) centres[v] = load_partial(centre + column + v * kWidth<T>, left);
    }
    strip_rows<T>(block, column, [&](int v, int64_t at, int64_t left) {
      const Vec<T> slope = load_partial(dy + at, left);
      const Vec<T> centred = first_lanes<T>(load_partial(x + at, left) - centres[v], left);
      products[v] = fma(slope, centred, products[v]);
      sums[v] += slope;
    });
    store_strip(along, products, column, block.span);
    store_strip(plain, sums, column, block.span);
  }
  for (int64_t c = 0; c < channels; ++c) {
    dgamma[c] = dbeta[c] = 0;
    for (int64_t i = c; i < block.span; i += channels) {
      dgamma[c] += along[i];
      dbeta[c] += plain[i];
    }
  }
}

template <typename T>
void parameter_gradients(const T* x, const T* dy, const T* mean, const T* rstd, T* partials, T* dgamma, T* dbeta,
                         NormShape shape) {
  const int64_t channels = shape.channels;
  each_block<T>(shape, [&](int64_t b, const Block<T>& block) {
    T* own = partials + b * 2 * channels;
    block_gradients(x, dy, mean, block, channels, own, own + channels);
  });
  double *along = span_scratch<double>(kScratchB, channels, 2), *plain = along + channels;
  for (int64_t c = 0; c < channels; ++c) along[c] = plain[c] = 0;
  for (int64_t b = 0; b < norm_blocks(shape); ++b) {
    const T* own = partials + b * 2 * channels;
    for (int64_t c = 0; c < channels; ++c) along[c] += double(own[c]);
    for (int64_t c = 0; c < channels; ++c) plain[c] += double(own[channels + c]);
  }
  for (int64_t c = 0; c < channels; ++c) {
    dgamma[c] = T(along[c] * double(rstd[c]));
    dbeta[c] = T(plain[c]);
  }
}

// dx = a dy - (b (x - mean) + c), with a = gamma rstd, b = a rstd dgamma / rows, c = a dbeta / rows.
template <typename T>
void training_input_gradient(const T* x, const T* dy, const T* mean, const T* rstd, const T* gamma, const T* dgamma,
                             const T* dbeta, T* dx, NormShape shape) {
  const double rows = double(shape.rows);
  const auto slope = [&](int64_t c) { return double(rstd[c]) * (gamma == nullptr ? 1.0 : double(gamma[c])); };
  each_block<T>(shape, [&](int64_t, const Block<T>& block) {
    T *centre = span_scratch<T>(kScratchA, block.span, 4), *a = centre + block.span;
    T *b = a + block.span, *constant = b + block.span;
    repeat(centre, shape.channels, block.span, [&](int64_t c) { return mean[c]; });
    repeat(a, shape.channels, block.span, [&](int64_t c) { return T(slope(c)); });
    repeat(b, shape.channels, block.span, [&](int64_t c) { return T(slope(c) * rstd[c] * dgamma[c] / rows); });
    repeat(constant, shape.channels, block.span, [&](int64_t c) { return T(slope(c) * dbeta[c] / rows); });
    each_vector<T>(block, [&](int64_t i, int64_t k, int64_t left) {
      const Vec<T> centred = load_partial(x + i, left) - load_partial(centre + k, left);
      const Vec<T> off = fma(centred, load_partial(b + k, left), load_partial(constant + k, left));
      store_partial(dx + i, fma(load_partial(dy + i, left), load_partial(a + k, left), -off), left);
    });
  });
}

template <typename T>
void input_gradient(const T* x, const T* dy, const T* mean, const T* rstd, const T* gamma, const T* dgamma,
                    const T* dbeta, T* dx, NormShape shape) {
  if (dgamma != nullptr) return training_input_gradient(x, dy, mean, rstd, gamma, dgamma, dbeta, dx, shape);
  each_block<T>(shape, [&](int64_t, const Block<T>& block) {
    T* scale = span_scratch<T>(kScratchA, block.span, 1);
    repeat(scale, shape.channels, block.span,
           [&](int64_t c) { return gamma == nullptr ? rstd[c] : rstd[c] * gamma[c]; });
    each_vector<T>(block, [&](int64_t i, int64_t k, int64_t left) {
      store_partial(dx + i, load_partial(dy + i, left) * load_partial(scale + k, left), left);
    });
  });
}

}  // namespace

extern const PerType<NormKernels> norm_kernels;
const PerType<NormKernels> norm_kernels = {
    {batch_statistics<float>, moving_statistics<float>, batch_norm_output<float>, parameter_gradients<float>,
     input_gradient<float>},
    {batch_statistics<double>, moving_statistics<double>, batch_norm_output<double>, parameter_gradients<double>,
     input_gradient<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
