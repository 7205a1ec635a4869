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

constexpr int64_t kElementGrain = 8192;

// Waking a thread costs what a few thousand elements do: the grain of a loop over n.
RANVIER_INLINE int64_t element_grain(int64_t n) { return n <= 3 * kElementGrain ? n : kElementGrain; }

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
  parallel(0, shape.size, element_grain(shape.size), [&](int64_t begin, int64_t end) {
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

// --- short rows: operands that are repeated are written out for many rows, which are then one run ---

constexpr int64_t kShortRow = 32;
constexpr int64_t kRoom = 1024;

// How operand k of short rows is read: as the output lies, or from a room that is filled for each run, or once.
struct RowsOf {
  bool direct = true, once = true;

  RowsOf(const Broadcast& shape, int k) {
    int64_t step = 1;
    for (int axis = shape.axes - 1; axis >= 0; step *= shape.sizes[axis--]) {
      direct = direct && shape.strides[k][axis] == step;
      once = once && (axis == shape.axes - 1 || shape.strides[k][axis] == 0);
    }
  }
};

template <typename T>
void fill_rows(const Broadcast& shape, int k, const T* from, int64_t row, int64_t rows, T* to) {
  const int last = shape.axes - 1;
  const int64_t inner = shape.sizes[last], step = shape.strides[k][last];
  const auto fill = [&](const T* source) {
    for (int64_t i = 0; i < inner; ++i) to[i] = source[i * step];
    to += inner;
  };
  if (shape.axes == 2) {
    for (int64_t r = row; r < row + rows; ++r) fill(from + r * shape.strides[k][0]);
    return;
  }
  for (RowWalk walk(shape, row); rows > 0; --rows, walk.next()) fill(from + walk.offsets[k]);
}

// run(a, b, out, count) for runs of whole rows.
template <typename T, typename Run>
RANVIER_INLINE void each_short_rows(const T* a, const T* b, const Broadcast& shape, const Run& run) {
  const int64_t inner = shape.sizes[shape.axes - 1], rows = shape.size / inner, together = kRoom / inner;
  const T* operands[] = {a, b};
  const RowsOf ways[] = {RowsOf(shape, 0), RowsOf(shape, 1)};
  parallel(0, rows, max_of(1, element_grain(shape.size) / inner), [&](int64_t begin, int64_t end) {
    T room[2][kRoom];
    for (int64_t r = begin; r < end; r += together) {
      const int64_t count = min_of(together, end - r);
      const T* from[2];
      for (int k = 0; k < 2; ++k) {
        from[k] = ways[k].direct ? operands[k] + r * inner : room[k];
        if (ways[k].direct || (ways[k].once && r > begin)) continue;
        fill_rows(shape, k, operands[k], r, count, room[k]);
      }
      run(from[0], from[1], r * inner, count * inner);
    }
  });
}

RANVIER_INLINE bool has_short_rows(const Broadcast& shape) {
  return shape.axes > 1 && shape.sizes[shape.axes - 1] < kShortRow && shape.size > 4 * kShortRow;
}

// y[i] = op(a[i], b[i]) over the shape; each of a and b moves or stands still along a row.
template <typename T, typename R, typename Op>
RANVIER_INLINE void binary_loop(const void* a, const void* b, void* y, const Broadcast& shape, const Op& op) {
  if (has_short_rows(shape)) {
    each_short_rows(static_cast<const T*>(a), static_cast<const T*>(b), shape,
                    [&](const T* p, const T* q, int64_t out, int64_t count) {
                      R* r = static_cast<R*>(y) + out;
                      for (int64_t i = 0; i < count; ++i) r[i] = op(p[i], q[i]);
                    });
    return;
  }
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
