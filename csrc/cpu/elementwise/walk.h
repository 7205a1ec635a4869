// The parts of the elementwise kernels, and the loop over a broadcast shape that they share.
#pragma once

#include "cpu/simd.h"
#include "ops/elementwise.h"

namespace ranvier {
namespace RANVIER_ISA {

void elementwise_unary(UnaryOp op, DType dtype, const void* x, void* y, int64_t n);
void elementwise_arithmetic(BinaryOp op, DType dtype, const void* a, const void* b, void* y, const Broadcast& shape);
void elementwise_compare(BinaryOp op, DType dtype, const void* a, const void* b, void* y, const Broadcast& shape);
void elementwise_power(DType dtype, const void* a, const void* b, void* y, const Broadcast& shape);
void elementwise_where(size_t item, const bool* condition, const void* a, const void* b, void* y,
                       const Broadcast& shape);
void elementwise_clip(DType dtype, const void* x, double low, double high, void* y, int64_t n);
void elementwise_clip_backward(DType dtype, const void* x, const void* dy, double low, double high, void* dx,
                               int64_t n);
void elementwise_cast(DType from, DType to, const void* x, void* y, int64_t n);

namespace {

constexpr int64_t kElementGrain = 16384;

// Where each operand stands at the start of a row (the last axis), moved on row by row like an odometer.
struct RowWalk {
  const Broadcast& shape;
  int64_t offsets[kMaxOperands] = {};
  int64_t index[kMaxAxes] = {};

  RowWalk(const Broadcast& broadcast, int64_t row) : shape(broadcast) {
    for (int axis = shape.axes - 2; axis >= 0; --axis) {
      index[axis] = row % shape.sizes[axis];
      row /= shape.sizes[axis];
      for (int k = 0; k < kMaxOperands; ++k) offsets[k] += index[axis] * shape.strides[k][axis];
    }
  }

  void next() {
    for (int axis = shape.axes - 2; axis >= 0; --axis) {
      for (int k = 0; k < kMaxOperands; ++k) offsets[k] += shape.strides[k][axis];
      if (++index[axis] < shape.sizes[axis]) return;
      for (int k = 0; k < kMaxOperands; ++k) offsets[k] -= shape.sizes[axis] * shape.strides[k][axis];
      index[axis] = 0;
    }
  }
};

// Calls run(offsets, out, count) for runs within rows: operand k of the run starts at offsets[k] and goes on
// with its last stride, the output at `out`. Parallel over elements; every element's value is its own, so
// the split changes nothing.
template <typename Run>
RANVIER_INLINE void each_run(const Broadcast& shape, const Run& run) {
  const int last = shape.axes - 1;
  const int64_t inner = shape.sizes[last];
  parallel(0, shape.size, kElementGrain, [&](int64_t begin, int64_t end) {
    RowWalk walk(shape, begin / inner);
    int64_t column = begin % inner;
    for (int64_t at = begin; at < end;) {
      const int64_t count = min_of(inner - column, end - at);
      int64_t offsets[kMaxOperands];
      for (int k = 0; k < kMaxOperands; ++k) offsets[k] = walk.offsets[k] + column * shape.strides[k][last];
      run(offsets, at, count);
      at += count;
      column = 0;
      walk.next();
    }
  });
}

// y[i] = op(a[i], b[i]) over the shape; each of a and b moves or stands still along a row.
template <typename T, typename R, typename Op>
RANVIER_INLINE void binary_loop(const void* a, const void* b, void* y, const Broadcast& shape, const Op& op) {
  const int last = shape.axes - 1;
  const bool a_moves = shape.strides[0][last] != 0, b_moves = shape.strides[1][last] != 0;
  each_run(shape, [&](const int64_t* offsets, int64_t out, int64_t count) {
    const T* p = static_cast<const T*>(a) + offsets[0];
    const T* q = static_cast<const T*>(b) + offsets[1];
    R* r = static_cast<R*>(y) + out;
    if (a_moves && b_moves) {
      for (int64_t i = 0; i < count; ++i) r[i] = op(p[i], q[i]);
    } else if (a_moves) {
      const T value = *q;
      for (int64_t i = 0; i < count; ++i) r[i] = op(p[i], value);
    } else {
      const T value = *p;
      for (int64_t i = 0; i < count; ++i) r[i] = op(value, q[i]);
    }
  });
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
