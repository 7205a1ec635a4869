// The parts of the elementwise kernels, and where the operands of an element of a broadcast shape stand.
#pragma once

#include "cuda/launch.h"
#include "cuda/numbers.h"
#include "ops/elementwise.h"

namespace ranvier {
namespace RANVIER_GPU {

void elementwise_unary(UnaryOp op, DType dtype, const void* x, void* y, int64_t n);
void elementwise_binary(BinaryOp op, DType dtype, const void* a, const void* b, void* y, const Broadcast& shape);
void elementwise_compare(BinaryOp op, DType dtype, const void* a, const void* b, void* y, const Broadcast& shape);
void elementwise_power(DType dtype, const void* a, const void* b, void* y, const Broadcast& shape);
void elementwise_where(std::size_t item, const bool* condition, const void* a, const void* b, void* y,
                       const Broadcast& shape);
void elementwise_clip(DType dtype, const void* x, double low, double high, void* y, int64_t n);
void elementwise_clip_backward(DType dtype, const void* x, const void* dy, double low, double high, void* dx,
                               int64_t n);
void elementwise_cast(DType from, DType to, const void* x, void* y, int64_t n);

namespace {

// Where each operand stands.
struct Offsets {
  int64_t at[kMaxOperands];
};

// Element i of the output as a place in each operand: i in the mixed radix of the sizes, from the last axis on. Along
// the last axis operands move by one or stand still: lanes then read side by side, or all the same word. The plan is a
// parameter of the kernel, so it lies in constant memory, where all lanes read one word at a time.
template <int kOperands>
__device__ Offsets offsets_of(int64_t i, const Broadcast& shape) {
  Offsets offsets = {};
  for (int axis = shape.axes - 1; axis > 0; --axis) {
    const int64_t whole = i / shape.sizes[axis], index = i - whole * shape.sizes[axis];
    for (int k = 0; k < kOperands; ++k) offsets.at[k] += index * shape.strides[k][axis];
    i = whole;
  }
  for (int k = 0; k < kOperands; ++k) offsets.at[k] += i * shape.strides[k][0];
  return offsets;
}

template <typename T, typename R, typename Op>
__global__ void combine(const T* a, const T* b, R* y, const __grid_constant__ Broadcast shape, Op op) {
  for (int64_t i = grid_thread(); i < shape.size; i += grid_threads()) {
    const Offsets offsets = offsets_of<2>(i, shape);
    y[i] = op(a[offsets.at[0]], b[offsets.at[1]]);
  }
}

// One axis, the most frequent: no divisions. A step of 0 repeats one number.
template <typename T, typename R, typename Op>
__global__ void combine_row(const T* a, int64_t step_a, const T* b, int64_t step_b, R* y, int64_t n, Op op) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) y[i] = op(a[i * step_a], b[i * step_b]);
}

// y[i] = op(a[i], b[i]) over the shape.
template <typename T, typename R, typename Op>
void binary_kernel(const void* a, const void* b, void* y, const Broadcast& shape, Op op) {
  const T* p = static_cast<const T*>(a);
  const T* q = static_cast<const T*>(b);
  R* r = static_cast<R*>(y);
  if (shape.axes > 1) {
    launch<combine<T, R, Op>>(grid_for(shape.size), dim3(kThreads), 0, current_stream(), p, q, r, shape, op);
  } else {
    launch<combine_row<T, R, Op>>(grid_for(shape.size), dim3(kThreads), 0, current_stream(), p, shape.strides[0][0], q,
                                  shape.strides[1][0], r, shape.size, op);
  }
}

template <typename T, typename R, typename Op>
__global__ void map(const T* x, R* y, int64_t n, Op op) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) y[i] = op(x[i]);
}

// y[i] = op(x[i]).
template <typename T, typename R, typename Op>
void unary_kernel(const void* x, void* y, int64_t n, Op op) {
  launch<map<T, R, Op>>(grid_for(n), dim3(kThreads), 0, current_stream(), static_cast<const T*>(x), static_cast<R*>(y),
                        n, op);
}

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier
