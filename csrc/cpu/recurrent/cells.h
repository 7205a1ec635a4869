// The gate math of each cell, forward and backward, on units of one row. The equations are in ops/recurrent.h.
#pragma once

#include "cpu/activation_math.h"
#include "cpu/recurrent/gates.h"
#include "cpu/recurrent/rows.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// A row's step, forward. The functions below take it through `lanes` units from `unit` on.
template <typename T>
struct Advance {
  const RecurrentForward<T>& p;
  int64_t row;
  int64_t here;     // row and position in x: where gates are kept
  const T* before;  // the state before the step
  T* after;         // the state after it, which is its output

  RANVIER_INLINE void keep(int64_t gate, int64_t unit, Vec<T> v, int64_t lanes) const {
    store_partial(p.gates + (here * 4 + gate) * p.sizes.units + unit, v, lanes);
  }
};

// The lines that a step writes for a vector of a row's units come while its product runs.
template <typename T>
RANVIER_INLINE void expect(const Advance<T>& at, int64_t unit) {
  __builtin_prefetch(at.after + unit, 1);
  if (at.p.gates == nullptr) return;
#pragma GCC unroll 4
  for (int gate = 0; gate < 4; ++gate) {
    __builtin_prefetch(at.p.gates + (at.here * 4 + gate) * at.p.sizes.units + unit, 1);
  }
  if (at.p.c_before != nullptr) __builtin_prefetch(at.p.c_before + at.here * at.p.sizes.units + unit, 1);
}

// sums: i, f, g, o, `stride` apart.
template <typename T>
RANVIER_INLINE void advance_lstm(const Advance<T>& at, const T* sums, int64_t stride, int64_t unit, int64_t lanes) {
  T* state = at.p.c + at.row * at.p.sizes.units + unit;
  const Vec<T> c = load_partial(state, lanes);
  const Vec<T> i = gate_sigmoid(load_partial(sums, lanes));
  const Vec<T> f = gate_sigmoid(load_partial(sums + stride, lanes));
  const Vec<T> g = gate_tanh(load_partial(sums + 2 * stride, lanes));
  const Vec<T> o = gate_sigmoid(load_partial(sums + 3 * stride, lanes));
  const Vec<T> next = fma(f, c, i * g);
  store_partial(state, next, lanes);
  store_partial<T>(at.after + unit, o * gate_tanh(next), lanes);
  if (at.p.gates == nullptr) return;
  store_partial(at.p.c_before + at.here * at.p.sizes.units + unit, c, lanes);
  at.keep(0, unit, i, lanes);
  at.keep(1, unit, f, lanes);
  at.keep(2, unit, g, lanes);
  at.keep(3, unit, o, lanes);
}

template <typename T>
RANVIER_INLINE void finish_gru(const Advance<T>& at, Vec<T> z, Vec<T> r, Vec<T> h, Vec<T> factor, int64_t unit,
                               int64_t lanes) {
  const Vec<T> before = load_partial(at.before + unit, lanes);
  store_partial<T>(at.after + unit, fma(z, before, (T(1) - z) * h), lanes);
  if (at.p.gates == nullptr) return;
  at.keep(0, unit, z, lanes);
  at.keep(1, unit, r, lanes);
  at.keep(2, unit, h, lanes);
  at.keep(3, unit, factor, lanes);
}

// The sums of z, r, x's part of h, and the state's part of h.
template <typename T>
RANVIER_INLINE void advance_gru(const Advance<T>& at, const T* of_z, const T* of_r, const T* of_h, const T* of_factor,
                                int64_t unit, int64_t lanes) {
  const Vec<T> z = gate_sigmoid(load_partial(of_z, lanes));
  const Vec<T> r = gate_sigmoid(load_partial(of_r, lanes));
  const Vec<T> factor = load_partial(of_factor, lanes);
  finish_gru<T>(at, z, r, gate_tanh(fma(r, factor, load_partial(of_h, lanes))), factor, unit, lanes);
}

// reset_after=False, first half. sums: x's part of h, z, r; z and r are replaced by the gates.
template <typename T>
RANVIER_INLINE void reset_gru(const Advance<T>& at, T* sums, T* reset, int64_t unit, int64_t lanes) {
  const Vec<T> r = gate_sigmoid(load(sums + 2 * kWidth<T>));
  store(sums + kWidth<T>, gate_sigmoid(load(sums + kWidth<T>)));
  store(sums + 2 * kWidth<T>, r);
  store_partial<T>(reset + unit, r * load_partial(at.before + unit, lanes), lanes);
}

// Second half, with (r h) U_h.
template <typename T>
RANVIER_INLINE void advance_reset_gru(const Advance<T>& at, const T* sums, const T* reset, Vec<T> product, int64_t unit,
                                      int64_t lanes) {
  finish_gru<T>(at, load(sums + kWidth<T>), load(sums + 2 * kWidth<T>), gate_tanh(load(sums) + product),
                load_partial(reset + unit, lanes), unit, lanes);
}

// A few vectors of neighbouring units.
template <typename T, typename F>
RANVIER_INLINE void apply(const T* sums, T* after, int64_t count, const F& f) {
  for (int64_t j = 0; j < count; j += kWidth<T>) {
    const int64_t lanes = min_of(kWidth<T>, count - j);
    store_partial<T>(after + j, f(load_partial(sums + j, lanes)), lanes);
  }
}

template <typename T>
struct GateTanh : TanhActivation<T> {
  GateTanh() : TanhActivation<T>(0) {}
  RANVIER_INLINE Vec<T> operator()(Vec<T> x) const { return gate_tanh(x); }
};

template <typename T>
RANVIER_INLINE void advance_simple(ActivationKind kind, const T* sums, T* after, int64_t count) {
  switch (kind) {
    case ActivationKind::Tanh: return apply(sums, after, count, GateTanh<T>());
    case ActivationKind::Sigmoid: return apply(sums, after, count, SigmoidActivation<T>(0));
    case ActivationKind::Relu: return apply(sums, after, count, ReluActivation<T>(0));
    default: return apply(sums, after, count, LinearActivation<T>(0));
  }
}

// A row's step, backward: from gradients of the state after it to those of its sums. `next` receives what the state
// before it gets directly; the recurrent product adds the rest.
template <typename T>
struct Retreat {
  const T* gates;     // four times units, or none
  const T* c_before;  // lstm's
  const T* before;    // gru's: the state before the step
  const T* y;         // the output
  const T* dy;
  T* carried;  // gradient of masked steps' outputs, which were this one; null without a mask. Is cleared
  T* dh;
  T* dc;
  T* sums;
  T* next;
  int64_t units;
  int64_t ahead;  // to the position of the step that comes next: -1 or 1

  RANVIER_INLINE Vec<T> gate(int64_t i, int64_t unit, int64_t lanes) const {
    return load_partial(gates + i * units + unit, lanes);
  }
  RANVIER_INLINE void sum(int64_t i, int64_t unit, Vec<T> v, int64_t lanes) const {
    store_partial(sums + i * units + unit, v, lanes);
  }
  RANVIER_INLINE Vec<T> to_h(int64_t unit, int64_t lanes) const {
    const Vec<T> direct = load_partial(dh + unit, lanes) + load_partial(dy + unit, lanes);
    if (carried == nullptr) return direct;
    const Vec<T> later = load_partial(carried + unit, lanes);
    store_partial(carried + unit, Vec<T>{}, lanes);
    return direct + later;
  }
};

// What the step before will read, from far apart: it comes while this step's product runs.
template <typename T>
RANVIER_INLINE void fetch_next(const Retreat<T>& at, int64_t unit) {
  __builtin_prefetch(at.dy - at.units + unit, 0, 2);
  if (at.c_before != nullptr) __builtin_prefetch(at.c_before + at.ahead * at.units + unit, 0, 2);
#pragma GCC unroll 4
  for (int gate = 0; gate < 4; ++gate) {
    __builtin_prefetch(at.gates + (4 * at.ahead + gate) * at.units + unit, 0, 2);
  }
}

template <typename T>
RANVIER_INLINE void retreat_lstm(const Retreat<T>& at, int64_t unit, int64_t lanes) {
  const Vec<T> i = at.gate(0, unit, lanes), f = at.gate(1, unit, lanes);
  const Vec<T> g = at.gate(2, unit, lanes), o = at.gate(3, unit, lanes);
  const Vec<T> before = load_partial(at.c_before + unit, lanes);
  const Vec<T> squashed = gate_tanh(fma(f, before, i * g));
  const Vec<T> to_h = at.to_h(unit, lanes);
  const Vec<T> to_c = fma(to_h * o, T(1) - squashed * squashed, load_partial(at.dc + unit, lanes));
  at.sum(0, unit, to_c * g * i * (T(1) - i), lanes);
  at.sum(1, unit, to_c * before * f * (T(1) - f), lanes);
  at.sum(2, unit, to_c * i * (T(1) - g * g), lanes);
  at.sum(3, unit, to_h * squashed * o * (T(1) - o), lanes);
  store_partial<T>(at.dc + unit, to_c * f, lanes);
  store_partial(at.next + unit, Vec<T>{}, lanes);
}

template <typename T, bool kResetAfter>
RANVIER_INLINE void retreat_gru(const Retreat<T>& at, int64_t unit, int64_t lanes) {
  const Vec<T> z = at.gate(0, unit, lanes), h = at.gate(2, unit, lanes);
  const Vec<T> to_h = at.to_h(unit, lanes);
  const Vec<T> of_h = to_h * (T(1) - z) * (T(1) - h * h);
  at.sum(0, unit, to_h * (load_partial(at.before + unit, lanes) - h) * z * (T(1) - z), lanes);
  at.sum(2, unit, of_h, lanes);
  if (kResetAfter) {
    const Vec<T> r = at.gate(1, unit, lanes);
    at.sum(1, unit, of_h * at.gate(3, unit, lanes) * r * (T(1) - r), lanes);
    at.sum(3, unit, of_h * r, lanes);
  }
  store_partial<T>(at.next + unit, to_h * z, lanes);
}

// reset_after=False, second half: `product` is the gradient of r h.
template <typename T>
RANVIER_INLINE void retreat_reset(const Retreat<T>& at, Vec<T> product, int64_t unit, int64_t lanes) {
  const Vec<T> r = at.gate(1, unit, lanes);
  at.sum(1, unit, product * load_partial(at.before + unit, lanes) * r * (T(1) - r), lanes);
  store_partial<T>(at.next + unit, fma(product, r, load_partial(at.next + unit, lanes)), lanes);
}

template <typename T, typename F>
RANVIER_INLINE void retreat_slope(const Retreat<T>& at, const F& f) {
  for (int64_t j = 0; j < at.units; j += kWidth<T>) {
    const int64_t lanes = min_of(kWidth<T>, at.units - j);
    at.sum(0, j, at.to_h(j, lanes) * f.slope(load_partial(at.y + j, lanes)), lanes);
    store_partial(at.next + j, Vec<T>{}, lanes);
  }
}

template <typename T>
RANVIER_INLINE void retreat_simple(ActivationKind kind, const Retreat<T>& at) {
  switch (kind) {
    case ActivationKind::Tanh: return retreat_slope(at, TanhActivation<T>(0));
    case ActivationKind::Sigmoid: return retreat_slope(at, SigmoidActivation<T>(0));
    case ActivationKind::Relu: return retreat_slope(at, ReluActivation<T>(0));
    default: return retreat_slope(at, LinearActivation<T>(0));
  }
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
