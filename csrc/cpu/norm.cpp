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

// A second pass over the same arrays goes from their end to their beginning: what the first left in the caches is met
// before it is driven out.
enum class Pass { First, Second };

template <typename T, Pass kPass, typename Body>
void each_block(NormShape shape, const Body& body) {
  if (shape.channels == 0) return;
  const int64_t grain = grain_for(norm_block_rows(shape.channels) * shape.channels);
  const int64_t last = norm_blocks(shape) - 1;
  parallel(0, last + 1, grain, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t index = kPass == Pass::First ? b : last - b;
      body(index, block_of<T>(index, shape));
    }
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
#pragma GCC unroll 4
  for (int v = 0; v < kStrip; ++v) {
    const int64_t left = min_of(kWidth<T>, span - column - v * kWidth<T>);
    if (left > 0) store_some(out + column + v * kWidth<T>, sums[v], left);
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
    strip_rows<T>(block, column, [&](int v, int64_t at, int64_t left) { sums[v] += load_some(x + at, left); });
#pragma GCC unroll 4
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
      const Vec<T> d = first_lanes<T>(load_some(x + at, left) - sums[v], left);
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
  each_block<T, Pass::First>(shape, [&](int64_t b, const Block<T>& block) {
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

// Per-channel values along a span, and room for `more` such rows after them.
template <typename T>
struct Affine {
  T *centre, *scale, *shift, *more;
};

template <typename T>
Affine<T> affine_along(NormScale<T> by, int64_t channels, int64_t span, int64_t more) {
  T* rows = span_scratch<T>(kScratchA, span, 3 + more);
  const Affine<T> affine{rows, rows + span, rows + 2 * span, rows + 3 * span};
  repeat(affine.centre, channels, span, [&](int64_t c) { return by.mean[c]; });
  repeat(affine.scale, channels, span,
         [&](int64_t c) { return by.gamma == nullptr ? by.rstd[c] : by.rstd[c] * by.gamma[c]; });
  repeat(affine.shift, channels, span, [&](int64_t c) { return by.beta == nullptr ? T(0) : by.beta[c]; });
  return affine;
}

template <typename T, bool kRelu>
void batch_norm_output_by(const T* x, NormScale<T> by, T* y, NormShape shape) {
  const bool past = streamed(y, shape.rows, shape.channels);
  each_block<T, Pass::Second>(shape, [&](int64_t, const Block<T>& block) {
    const Affine<T> affine = affine_along(by, shape.channels, block.span, 0);
    each_vector<T>(block, [&](int64_t i, int64_t k, int64_t left) {
      const Vec<T> centred = load_some(x + i, left) - load_some(affine.centre + k, left);
      const Vec<T> sum = fma(centred, load_some(affine.scale + k, left), load_some(affine.shift + k, left));
      put(y + i, kRelu ? at_least(sum, 0) : sum, left, past);
    });
    if (past) finish_streaming();
  });
}

template <typename T>
void batch_norm_output(const T* x, NormScale<T> by, T* y, NormShape shape) {
  (by.relu ? batch_norm_output_by<T, true> : batch_norm_output_by<T, false>)(x, by, y, shape);
}

// --- gradients ------------------------------------------------------------------------------------------------

// dy where relu let the sum pass, which is computed as the forward pass did, to the last bit. A NaN passes.
template <typename T, bool kRelu>
RANVIER_INLINE Vec<T> through_relu(Vec<T> dy, Vec<T> centred, Vec<T> scale, Vec<T> shift) {
  return kRelu ? select(fma(centred, scale, shift) <= Vec<T>{}, Vec<T>{}, dy) : dy;
}

template <typename T, bool kRelu>
void block_gradients(const T* x, const T* dy, NormScale<T> by, const Block<T>& block, int64_t channels, T* dgamma,
                     T* dbeta) {
  const Affine<T> affine = affine_along(by, channels, block.span, 2);
  T *along = affine.more, *plain = along + block.span;
  x += block.begin;
  dy += block.begin;
  for (int64_t column = 0; column < block.span; column += kStrip * kWidth<T>) {
    Vec<T> products[kStrip] = {}, sums[kStrip] = {}, centres[kStrip] = {}, scales[kStrip] = {}, shifts[kStrip] = {};
#pragma GCC unroll 4
    for (int v = 0; v < kStrip; ++v) {
      const int64_t at = column + v * kWidth<T>, left = max_of(0, min_of(kWidth<T>, block.span - at));
      centres[v] = load_some(affine.centre + at, left);
      scales[v] = load_some(affine.scale + at, left);
      shifts[v] = load_some(affine.shift + at, left);
    }
    strip_rows<T>(block, column, [&](int v, int64_t at, int64_t left) {
      const Vec<T> centred = first_lanes<T>(load_some(x + at, left) - centres[v], left);
      const Vec<T> slope = through_relu<T, kRelu>(ahead(load_some(dy + at, left)), centred, scales[v], shifts[v]);
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
void parameter_gradients(const T* x, const T* dy, NormScale<T> by, T* partials, T* dgamma, T* dbeta, NormShape shape) {
  const int64_t channels = shape.channels;
  const auto gradients = by.relu ? block_gradients<T, true> : block_gradients<T, false>;
  each_block<T, Pass::First>(shape, [&](int64_t b, const Block<T>& block) {
    T* own = partials + b * 2 * channels;
    gradients(x, dy, by, block, channels, own, own + channels);
  });
  double *along = span_scratch<double>(kScratchB, channels, 2), *plain = along + channels;
  for (int64_t c = 0; c < channels; ++c) along[c] = plain[c] = 0;
  for (int64_t b = 0; b < norm_blocks(shape); ++b) {
    const T* own = partials + b * 2 * channels;
    for (int64_t c = 0; c < channels; ++c) along[c] += double(own[c]);
    for (int64_t c = 0; c < channels; ++c) plain[c] += double(own[channels + c]);
  }
  for (int64_t c = 0; c < channels; ++c) {
    dgamma[c] = T(along[c] * double(by.rstd[c]));
    dbeta[c] = T(plain[c]);
  }
}

// Training: dx = a dy - (b (x - mean) + c), with a = gamma rstd, b = a rstd dgamma / rows, c = a dbeta / rows;
// inference, where the statistics do not follow from x: a dy.
template <typename T, bool kRelu, bool kTraining>
void input_gradient_by(const T* x, const T* dy, NormScale<T> by, const T* dgamma, const T* dbeta, T* dx,
                       NormShape shape) {
  const double rows = double(shape.rows);
  const bool past = streamed(dx, shape.rows, shape.channels);
  const auto slope = [&](int64_t c) { return double(by.rstd[c]) * (by.gamma == nullptr ? 1.0 : double(by.gamma[c])); };
  each_block<T, Pass::Second>(shape, [&](int64_t, const Block<T>& block) {
    const Affine<T> affine = affine_along(by, shape.channels, block.span, kTraining ? 2 : 0);
    T *b = affine.more, *constant = b + block.span;
    if (kTraining) {
      repeat(b, shape.channels, block.span, [&](int64_t c) { return T(slope(c) * by.rstd[c] * dgamma[c] / rows); });
      repeat(constant, shape.channels, block.span, [&](int64_t c) { return T(slope(c) * dbeta[c] / rows); });
    }
    each_vector<T>(block, [&](int64_t i, int64_t k, int64_t left) {
      const Vec<T> scale = load_some(affine.scale + k, left);
      Vec<T> centred{}, shift{};
      if (kRelu || kTraining) centred = load_some(x + i, left) - load_some(affine.centre + k, left);
      if (kRelu) shift = load_some(affine.shift + k, left);
      const Vec<T> gradient = through_relu<T, kRelu>(ahead(load_some(dy + i, left)), centred, scale, shift);
      Vec<T> result = gradient * scale;
      if (kTraining) {
        const Vec<T> off = fma(centred, load_some(b + k, left), load_some(constant + k, left));
        result = fma(gradient, scale, -off);
      }
      put(dx + i, result, left, past);
    });
    if (past) finish_streaming();
  });
}

template <typename T>
void input_gradient(const T* x, const T* dy, NormScale<T> by, const T* dgamma, const T* dbeta, T* dx, NormShape shape) {
  const auto plain = dgamma != nullptr ? input_gradient_by<T, false, true> : input_gradient_by<T, false, false>;
  const auto masked = dgamma != nullptr ? input_gradient_by<T, true, true> : input_gradient_by<T, true, false>;
  (by.relu ? masked : plain)(x, dy, by, dgamma, dbeta, dx, shape);
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
