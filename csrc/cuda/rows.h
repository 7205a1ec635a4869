// Rows that a group of threads walks along together: what softmax, losses, norms and reductions have in common.
//
//   1 thread     rows whose elements lie apart (an axis before the last): neighbouring lanes take neighbouring rows, so
//                that each step of a warp reads side by side
//   32 threads   short rows: a warp each, no barrier
//   256 threads  long rows: a block each
//
// A group's sums have one order: each thread adds what it meets, then a tree of shuffles over the warp, then the warps
// in turn. The shape alone fixes it.
#pragma once

#include "cuda/half.h"
#include "cuda/launch.h"
#include "cuda/numbers.h"
#include "ops/softmax.h"  // Rows

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// kEach: how many elements of a row a thread keeps in registers, so that the row is read once; 0 for rows that are
// longer than that, which are read again for each pass.
template <int kThreadsOfGroup, int kElementsOfThread>
struct Group {
  static constexpr int kSize = kThreadsOfGroup, kEach = kElementsOfThread;
  static __device__ int lane() { return int(threadIdx.x) % kSize; }
  static __device__ int64_t first_row() { return grid_thread() / kSize; }
  static __device__ int64_t row_step() { return grid_threads() / kSize; }
  // Blocks of 256 threads for that many rows.
  static dim3 grid(int64_t rows) { return blocks_for(ceil_div<int64_t>(rows, kThreads / kSize)); }
};

// Calls run(group) with the group for rows of that shape.
template <typename Run>
void with_group(Rows rows, const Run& run) {
  if (rows.inner > 1 || rows.columns == 1) return run(Group<1, 0>{});
  if (rows.columns <= 256) return run(Group<32, 8>{});
  if (rows.columns <= 2048) return run(Group<256, 8>{});
  run(Group<256, 0>{});
}

// Where a row's elements stand.
struct Line {
  int64_t start, step;
};
__device__ Line line_of(int64_t row, Rows rows) {
  return {row / rows.inner * rows.columns * rows.inner + row % rows.inner, rows.inner};
}

// Calls body(column, e) for this thread's columns; e counts them, for arrays of registers.
template <typename G, typename Body>
__device__ void each_column(int64_t columns, const Body& body) {
  if constexpr (G::kEach > 0) {
#pragma unroll
    for (int e = 0; e < G::kEach; ++e) {
      const int64_t c = G::lane() + int64_t(e) * G::kSize;
      if (c < columns) body(c, e);
    }
  } else {
    for (int64_t c = G::lane(); c < columns; c += G::kSize) body(c, 0);
  }
}

// A thread's part of a row: in registers, or where it was.
template <typename G, typename T>
struct Kept {
  Wide<T> values[G::kEach > 0 ? G::kEach : 1];
  const T* row;
  int64_t step;

  __device__ void load(const T* x, Line line, int64_t columns) {
    row = x + line.start;
    step = line.step;
    if constexpr (G::kEach > 0) {
      each_column<G>(columns, [&](int64_t c, int e) { values[e] = wide(row[c * step]); });
    }
  }
  __device__ Wide<T> at(int64_t column, int e) const { return G::kEach > 0 ? values[e] : wide(row[column * step]); }
};

struct Adds {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct TakesLarger {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return larger(a, b);
  }
};

template <typename T>
__device__ T from_lane_xor(T value, int lanes) {
  return __shfl_xor_sync(0xffffffffu, value, lanes);
}

// Every thread's value combined, and known to every thread. Lanes exchange with partners that differ in one bit: both
// compute the same sum, so all end with the same bits.
template <typename T, typename Combine>
__device__ T over_warp(T value, Combine combine) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const T other = from_lane_xor(value, lanes);
    value = threadIdx.x & lanes ? combine(other, value) : combine(value, other);
  }
  return value;
}

template <typename T, typename Combine>
__device__ T over_block(T value, Combine combine) {
  __shared__ T of_warps[kThreads / 32];
  value = over_warp(value, combine);
  __syncthreads();  // the last use of of_warps is over
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
  __syncthreads();
  T total = of_warps[0];  // all lanes read one word: a broadcast
  for (int warp = 1; warp < kThreads / 32; ++warp) total = combine(total, of_warps[warp]);
  return total;
}

template <typename G, typename T, typename Combine>
__device__ T over_group(T value, Combine combine) {
  if constexpr (G::kSize == 1) {
    return value;
  } else if constexpr (G::kSize == 32) {
    return over_warp(value, combine);
  } else {
    return over_block(value, combine);
  }
}

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier
