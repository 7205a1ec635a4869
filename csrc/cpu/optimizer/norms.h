// Norms of gradients and what follows from them: clipping, the decision on a scaled loss, Lamb.
#pragma once

#include <math.h>

#include "cpu/optimizer/pass.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// --- norms: per chunk in double, so that the sum of squares of large float32 does not overflow -------

template <typename T>
double sum_of_squares(const T* g, int64_t n) {
  constexpr int kLanes = 16;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int k = 0; k < kLanes; ++k) lanes[k] += double(g[i + k]) * double(g[i + k]);
  }
  for (int k = 0; i + k < n; ++k) lanes[k] += double(g[i + k]) * double(g[i + k]);
  double total = 0;
  for (int k = 0; k < kLanes; ++k) total += lanes[k];
  return total;
}

template <typename T>
void sums_of_squares(StepChunks<T> all, double* sums) {
  parallel(0, all.count, all.grain, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) sums[c] = sum_of_squares(all.chunks[c].gradient, all.chunks[c].size);
  });
}

// The sum over all chunks of the tensor that chunk c is of, in their order, whatever the threads did.
template <typename T>
double of_tensor(const StepChunks<T>& all, const double* sums, int64_t c) {
  const int64_t tensor = all.chunks[c].tensor;
  int64_t begin = c;
  while (begin > 0 && all.chunks[begin - 1].tensor == tensor) --begin;
  double sum = 0;
  for (int64_t i = begin; i < all.count && all.chunks[i].tensor == tensor; ++i) sum += sums[i];
  return sum;
}

// limit / max(norm, limit); NaN for a norm of NaN, so that no step hides one.
double scale_for(double sum, NormLimit limit) {
  const double norm = ::sqrt(sum) * (limit.gradient_scale == nullptr ? 1 : *limit.gradient_scale);
  return norm <= limit.limit ? 1 : limit.limit / norm;
}

template <typename T>
void clip_scales(StepChunks<T> all, const double* sums, NormLimit limit, double* scales) {
  double total = 0;
  if (limit.global) {
    for (int64_t c = 0; c < all.count; ++c) total += sums[c];
    if (!(total - total == 0)) total = NAN;  // an infinite norm hides no step either
  }
  for (int64_t c = 0; c < all.count; ++c) {
    const bool known = c > 0 && (limit.global || all.chunks[c].tensor == all.chunks[c - 1].tensor);
    scales[c] = known ? scales[c - 1] : scale_for(limit.global ? total : of_tensor(all, sums, c), limit);
  }
}

template <typename T>
void loss_scale_step(StepChunks<T> all, const double* sums, LossScale state) {
  bool finite = true;
  for (int64_t c = 0; c < all.count; ++c) finite = finite && sums[c] - sums[c] == 0;
  *state.gradient_scale = finite ? 1 / double(*state.scale) : 0;
  *state.iterations += finite;
  *state.good_steps = finite ? *state.good_steps + 1 : 0;
  if (!finite) *state.scale *= 0.5f;
  if (*state.good_steps != state.growth_steps) return;
  *state.good_steps = 0;
  *state.scale *= 2;
}

// --- Lamb: one pass for the moments and the norms of parameter and update, one that moves by the trust ratio ---
// The ratio is known after the first. Together they read p, m, s twice and g once and write m, s, p once: 10 streams
// (11 with decay, which moves p in the first); a pass of its own for the norms made them 14.

template <typename T>
struct InDouble;
template <>
struct InDouble<float> {
  typedef double Vector __attribute__((vector_size(kWidth<float> * 8)));
};
template <>
struct InDouble<double> {
  typedef Vec<double> Vector;
};

// A sum of squares in double, one per lane.
template <typename T>
struct Squares {
  using Wide = typename InDouble<T>::Vector;
  Wide sums = {};
  RANVIER_INLINE void add(const Vec<T>& v) {
    const Wide wide = __builtin_convertvector(v, Wide);
    sums += wide * wide;
  }
  RANVIER_INLINE double total() const {
    double all = 0;
    for (int k = 0; k < kWidth<T>; ++k) all += sums[k];
    return all;
  }
};

template <typename T>
struct Lamb {
  Vec<T> rest_1, rest_2, m_factor, s_factor, epsilon;
  RANVIER_INLINE Vec<T> update(Vec<T> m, Vec<T> s) const { return m * m_factor / (sqrt(s * s_factor) + epsilon); }

  RANVIER_INLINE void measure(const StepChunk<T>& chunk, int64_t i, int64_t n, const StepOptions& step, T scale,
                              T decay, Squares<T>& weights, Squares<T>& updates) const {
    const Vec<T> g = clipped_gradient(chunk, i, n, step, scale);
    Vec<T> m = load_partial(chunk.slots[0] + i, n), s = load_partial(chunk.slots[1] + i, n);
    m += (g - m) * rest_1;
    s += (g * g - s) * rest_2;
    store_partial(chunk.slots[0] + i, m, n);
    store_partial(chunk.slots[1] + i, s, n);
    Vec<T> p = load_partial(chunk.parameter + i, n);
    if (decay != 0) {
      p = p - p * broadcast(decay);
      store_partial(chunk.parameter + i, p, n);
    }
    Vec<T> d = update(m, s);
    if (n < kWidth<T>) {  // 0 / 0 beyond the end, where epsilon is 0
      T values[kWidth<T>];
      store(values, d);
      d = load_partial(values, n);
    }
    weights.add(p);
    updates.add(d);
  }

  RANVIER_INLINE void move(const StepChunk<T>& chunk, int64_t i, int64_t n, Vec<T> share) const {
    const Vec<T> d = update(load_partial(chunk.slots[0] + i, n), load_partial(chunk.slots[1] + i, n));
    store_partial(chunk.parameter + i, load_partial(chunk.parameter + i, n) - d * share, n);
  }
};

template <typename T>
Lamb<T> lamb_of(AdamOptions o) {
  return {constant<T>(1 - o.beta_1), constant<T>(1 - o.beta_2), constant<T>(o.m_factor), constant<T>(o.s_factor),
          constant<T>(o.epsilon)};
}

template <typename T>
void lamb_moments(StepChunks<T> all, StepOptions step, AdamOptions o, double* weights, double* updates) {
  if (left_out(step)) return;
  const Lamb<T> lamb = lamb_of<T>(o);
  parallel(0, all.count, all.grain, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const StepChunk<T> chunk = all.chunks[c];
      const T decay = T(step.learning_rate * chunk.weight_decay), scale = scale_of(all, step, c);
      Squares<T> of_weights, of_updates;
      int64_t i = 0;
      for (; i + kWidth<T> <= chunk.size; i += kWidth<T>) {
        lamb.measure(chunk, i, kWidth<T>, step, scale, decay, of_weights, of_updates);
      }
      if (i < chunk.size) lamb.measure(chunk, i, chunk.size - i, step, scale, decay, of_weights, of_updates);
      weights[c] = of_weights.total();
      updates[c] = of_updates.total();
    }
  });
}

template <typename T>
void lamb_step(StepChunks<T> all, StepOptions step, AdamOptions o, const double* weights, const double* updates) {
  if (left_out(step)) return;
  const Lamb<T> lamb = lamb_of<T>(o);
  parallel(0, all.count, all.grain, [&](int64_t begin, int64_t end) {
    Vec<T> share = {};  // of the tensor whose chunks are being moved
    for (int64_t c = begin; c < end; ++c) {
      const StepChunk<T> chunk = all.chunks[c];
      if (c == begin || chunk.tensor != all.chunks[c - 1].tensor) {
        const double weight = of_tensor(all, weights, c), change = of_tensor(all, updates, c);
        share = constant<T>((weight > 0 && change > 0 ? ::sqrt(weight) / ::sqrt(change) : 1) * step.learning_rate);
      }
      int64_t i = 0;
      for (; i + kWidth<T> <= chunk.size; i += kWidth<T>) lamb.move(chunk, i, kWidth<T>, share);
      if (i < chunk.size) lamb.move(chunk, i, chunk.size - i, share);
    }
  });
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
