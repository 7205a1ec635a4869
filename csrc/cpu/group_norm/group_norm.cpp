#include "cpu/group_norm/piece.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// --- one position: each group is a row of its own, with one mean and one rstd, and needs no scratch ------------------

template <typename T>
T squares_around(const T* x, T mean, int64_t n) {
  Vec<T> sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * kWidth<T> <= n; i += 4 * kWidth<T>) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const Vec<T> d = load(x + i + v * kWidth<T>) - broadcast(mean);
      sums[v] = fma(d, d, sums[v]);
    }
  }
  for (; i < n; i += kWidth<T>) {
    const int64_t lanes = min_of(kWidth<T>, n - i);
    const Vec<T> d = first_lanes<T>(load_some(x + i, lanes) - broadcast(mean), lanes);
    sums[0] = fma(d, d, sums[0]);
  }
  return sum_lanes<T>((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <typename T>
void row_forward(const Piece<T>& piece, GroupScale<T> by, T* y, double epsilon, bool past) {
  for (int64_t g = 0; g < piece.groups; ++g) {
    const int64_t at = g * piece.size;
    const T* from = piece.x + at;
    const T mean = sum_of(from, piece.size) / T(piece.size);
    const T variance = squares_around(from, mean, piece.size) / T(piece.size);
    const T rstd = T(1 / __builtin_sqrt(double(variance) + epsilon));
    by.mean[piece.statistic + g] = mean;
    by.rstd[piece.statistic + g] = rstd;
    const T* gamma = by.gamma == nullptr ? nullptr : by.gamma + piece.channel + at;
    const T* beta = by.beta == nullptr ? nullptr : by.beta + piece.channel + at;
    T* to = y + piece.offset + at;
    const bool whole = past && at % kWidth<T> == 0;
    each_vector<T>(piece.size, [&](int64_t c, int64_t lanes) RANVIER_INLINED {
      Vec<T> v = (load_some(from + c, lanes) - broadcast(mean)) * broadcast(rstd);
      if (gamma != nullptr) v *= load_some(gamma + c, lanes);
      if (beta != nullptr) v += load_some(beta + c, lanes);
      put(to + c, v, lanes, whole);
    });
  }
  if (past) finish_streaming();
}

// sums, when not null: (2, channels), to which dy xhat and dy are added.
template <typename T>
void row_gradients(const Piece<T>& piece, const T* dy, GroupScale<T> by, T* sums, int64_t channels, T* dx, bool past) {
  for (int64_t g = 0; g < piece.groups; ++g) {
    const int64_t at = g * piece.size, channel = piece.channel + at;
    const T* from = piece.x + at;
    const T* slope = dy + piece.offset + at;
    const T* gamma = by.gamma == nullptr ? nullptr : by.gamma + channel;
    const Vec<T> mean = broadcast(by.mean[piece.statistic + g]), rstd = broadcast(by.rstd[piece.statistic + g]);
    Vec<T> total{}, along{};
    each_vector<T>(piece.size, [&](int64_t c, int64_t lanes) RANVIER_INLINED {
      const Vec<T> own = load_some(slope + c, lanes);
      const Vec<T> inner = own * ((load_some(from + c, lanes) - mean) * rstd);
      if (sums != nullptr) {
        T* to = sums + channel + c;
        store_some(to, load_some(to, lanes) + inner, lanes);
        store_some(to + channels, load_some(to + channels, lanes) + own, lanes);
      }
      const Vec<T> scale = gamma == nullptr ? broadcast(T(1)) : load_some(gamma + c, lanes);
      total = fma(own, scale, total);
      along += first_lanes<T>(inner * scale, lanes);
    });
    if (dx == nullptr) continue;
    const Vec<T> all = broadcast(sum_lanes<T>(total) / T(piece.size));
    const Vec<T> tilt = broadcast(sum_lanes<T>(along) / T(piece.size));
    T* to = dx + piece.offset + at;
    const bool whole = past && at % kWidth<T> == 0;
    each_vector<T>(piece.size, [&](int64_t c, int64_t lanes) RANVIER_INLINED {
      const Vec<T> normal = (load_some(from + c, lanes) - mean) * rstd;
      const Vec<T> scale = gamma == nullptr ? broadcast(T(1)) : load_some(gamma + c, lanes);
      put(to + c, (load_some(slope + c, lanes) * scale - fma(normal, tilt, all)) * rstd, lanes, whole);
    });
  }
  if (past) finish_streaming();
}

// --- forward --------------------------------------------------------------------------------------------------------

template <typename T>
void piece_statistics(const Piece<T>& piece, int64_t positions, T* mean, T* rstd, double epsilon) {
  T* sums = scratch<T>(2, piece.span);
  T* centre = sums + piece.span;
  const T count = T(positions * piece.size);
  sum_positions<T, 1>(piece, positions, sums, [&](Vec<T>* sum, int64_t at, int64_t, int64_t lanes) RANVIER_INLINED {
    sum[0] += load_some(piece.x + at, lanes);
  });
  spread(piece, centre, [&](int64_t g) {
    return mean[piece.statistic + g] = count > 0 ? sum_of(sums + g * piece.size, piece.size) / count : T(0);
  });
  sum_positions<T, 1>(piece, positions, sums, [&](Vec<T>* sum, int64_t at, int64_t c, int64_t lanes) RANVIER_INLINED {
    const Vec<T> d = load_some(piece.x + at, lanes) - load_some(centre + c, lanes);
    sum[0] = fma(d, d, sum[0]);
  });
  for (int64_t g = 0; g < piece.groups; ++g) {
    const T variance = count > 0 ? sum_of(sums + g * piece.size, piece.size) / count : T(0);
    rstd[piece.statistic + g] = T(1 / __builtin_sqrt(double(variance) + epsilon));
  }
}

// Per channel: what is taken off, what it is scaled by, what is added.
template <typename T>
void piece_normalise(const Piece<T>& piece, int64_t positions, GroupScale<T> by, T* y, bool past) {
  T* centre = scratch<T>(4, piece.span);
  T *scale = centre + piece.span, *gamma = scale + piece.span, *beta = gamma + piece.span;
  spread(piece, centre, [&](int64_t g) { return by.mean[piece.statistic + g]; });
  spread(piece, scale, [&](int64_t g) { return by.rstd[piece.statistic + g]; });
  if (by.gamma != nullptr) {
    spread_channels(piece, gamma, by.gamma);
    for (int64_t c = 0; c < piece.span; ++c) scale[c] *= gamma[c];
  }
  if (by.beta != nullptr) spread_channels(piece, beta, by.beta);
  each_row(piece, positions, [&](int64_t offset, int64_t length) RANVIER_INLINED {
    const T* from = piece.x + offset;
    T* to = y + piece.offset + offset;
    each_vector<T>(length, [&](int64_t c, int64_t lanes) RANVIER_INLINED {
      const Vec<T> d = load_some(from + c, lanes) - load_some(centre + c, lanes);
      const Vec<T> scaled = d * load_some(scale + c, lanes);
      put(to + c, by.beta == nullptr ? scaled : scaled + load_some(beta + c, lanes), lanes, past);
    });
  });
  if (past) finish_streaming();
}

template <typename T>
void forward(const T* x, GroupScale<T> by, T* y, double epsilon, GroupShape shape) {
  const bool large = streamed(y, shape.samples * shape.positions, shape.channels);
  each_piece(x, shape, [&](const Piece<T>& piece) {
    const bool past = large && piece.channel % kWidth<T> == 0;
    if (shape.positions == 1) return row_forward(piece, by, y, epsilon, past);
    piece_statistics(piece, shape.positions, by.mean, by.rstd, epsilon);
    piece_normalise(piece, shape.positions, by, y, past);
  });
}

// --- backward -------------------------------------------------------------------------------------------------------

// Per channel of a piece, in scratch: sums of dy and of dy xhat, then what dx is made of.
template <typename T>
struct Coefficients {
  T* sums;   // sum dy over the positions; later sum_g gamma dy / M
  T* along;  // sum dy xhat; later sum_g gamma dy xhat / M
  T* centre;
  T* rstd;
  T* gamma;
};

template <typename T>
Coefficients<T> coefficients_of(const Piece<T>& piece, const T* dy, GroupScale<T> by, int64_t positions) {
  T* all = scratch<T>(5, piece.span);
  const Coefficients<T> k{all, all + piece.span, all + 2 * piece.span, all + 3 * piece.span, all + 4 * piece.span};
  spread(piece, k.centre, [&](int64_t g) { return by.mean[piece.statistic + g]; });
  spread(piece, k.rstd, [&](int64_t g) { return by.rstd[piece.statistic + g]; });
  if (by.gamma != nullptr) {
    spread_channels(piece, k.gamma, by.gamma);
  } else {
    spread(piece, k.gamma, [](int64_t) { return T(1); });
  }
  sum_positions<T, 2>(piece, positions, k.sums, [&](Vec<T>* sum, int64_t at, int64_t c, int64_t lanes) RANVIER_INLINED {
    const Vec<T> d = load_some(piece.x + at, lanes) - load_some(k.centre + c, lanes);
    const Vec<T> g = load_some(dy + piece.offset + at, lanes);
    sum[0] += g;
    sum[1] = fma(g, d * load_some(k.rstd + c, lanes), sum[1]);
  });
  return k;
}

template <typename T>
void piece_input_gradient(const Piece<T>& piece, const T* dy, const Coefficients<T>& k, T* dx, int64_t positions,
                          bool past) {
  const T count = T(positions * piece.size);
  for (int64_t c = 0; c < piece.width; ++c) {
    k.sums[c] *= k.gamma[c];
    k.along[c] *= k.gamma[c];
  }
  spread(piece, k.sums, [&](int64_t g) { return sum_of(k.sums + g * piece.size, piece.size) / count; });
  spread(piece, k.along, [&](int64_t g) { return sum_of(k.along + g * piece.size, piece.size) / count; });
  each_row(piece, positions, [&](int64_t offset, int64_t length) RANVIER_INLINED {
    const T* from = piece.x + offset;
    const T* slope = dy + piece.offset + offset;
    T* to = dx + piece.offset + offset;
    each_vector<T>(length, [&](int64_t c, int64_t lanes) RANVIER_INLINED {
      const Vec<T> rstd = load_some(k.rstd + c, lanes);
      const Vec<T> normal = (load_some(from + c, lanes) - load_some(k.centre + c, lanes)) * rstd;
      const Vec<T> own = load_some(slope + c, lanes) * load_some(k.gamma + c, lanes);
      const Vec<T> shared = fma(normal, load_some(k.along + c, lanes), load_some(k.sums + c, lanes));
      put(to + c, (own - shared) * rstd, lanes, past);
    });
  });
  if (past) finish_streaming();
}

template <typename T>
void add(const T* values, int64_t n, T* sums) {
  each_vector<T>(n, [&](int64_t c, int64_t lanes) RANVIER_INLINED {
    store_some(sums + c, load_some(sums + c, lanes) + load_some(values + c, lanes), lanes);
  });
}

// The samples of a chunk one after the other; each of its pieces adds to the chunk's own sums.
template <typename T>
void gradients(const T* x, const T* dy, GroupScale<T> by, GroupGradients<T> out, GroupShape shape) {
  const Cut cut = cut_of(shape);
  const int64_t chunks = group_norm_chunks(shape.samples), channels = shape.channels;
  const bool large = out.dx != nullptr && streamed(out.dx, shape.samples * shape.positions, channels);
  if (out.partials != nullptr) memset(out.partials, 0, sizeof(T) * static_cast<uint64_t>(chunks * 2 * channels));
  parallel(0, chunks * cut.pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t chunk = i / cut.pieces;
      const int64_t last = shape.samples * (chunk + 1) / chunks;
      for (int64_t n = shape.samples * chunk / chunks; n < last; ++n) {
        const Piece<T> piece = piece_of(x, shape, cut, n, i % cut.pieces);
        const bool past = large && piece.channel % kWidth<T> == 0;
        T* sums = out.partials == nullptr ? nullptr : out.partials + chunk * 2 * channels;
        if (shape.positions == 1) {
          row_gradients(piece, dy, by, sums, channels, out.dx, past);
          continue;
        }
        const Coefficients<T> k = coefficients_of(piece, dy, by, shape.positions);
        if (sums != nullptr) {
          add(k.along, piece.width, sums + piece.channel);
          add(k.sums, piece.width, sums + channels + piece.channel);
        }
        if (out.dx != nullptr) piece_input_gradient(piece, dy, k, out.dx, shape.positions, past);
      }
    }
  });
  if (out.partials == nullptr) return;
  memset(out.dgamma, 0, sizeof(T) * static_cast<uint64_t>(channels));
  memset(out.dbeta, 0, sizeof(T) * static_cast<uint64_t>(channels));
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    add(out.partials + chunk * 2 * channels, channels, out.dgamma);
    add(out.partials + chunk * 2 * channels + channels, channels, out.dbeta);
  }
}

}  // namespace

extern const PerType<GroupNormKernels> group_norm_kernels;
const PerType<GroupNormKernels> group_norm_kernels = {
    {forward<float>, gradients<float>},
    {forward<double>, gradients<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
