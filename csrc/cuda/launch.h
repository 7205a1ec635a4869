// What the host side of every family shares: grids, the stream, memory for the time of a call (workspace.h).
#pragma once

#include <cstdint>

#include "cuda/cuda.h"
#include "cuda/workspace.h"

namespace ranvier {
namespace RANVIER_GPU {

namespace {

template <typename I>
__host__ __device__ constexpr I ceil_div(I a, I b) {
  return (a + b - 1) / b;
}

constexpr int kThreads = 256;  // of a block, where nothing speaks for another number
constexpr int64_t kMostBlocks = 65535;

// That many blocks, but no more than keep any GPU busy: kernels walk on from there.
inline dim3 blocks_for(int64_t blocks) {
  return dim3(static_cast<unsigned>(blocks < 1 ? 1 : blocks < kMostBlocks ? blocks : kMostBlocks));
}

// Blocks for n elements, one a thread.
inline dim3 grid_for(int64_t n, int threads = kThreads) { return blocks_for(ceil_div<int64_t>(n, threads)); }

// This thread's number in the grid, and how many there are: `for (i = grid_thread(); i < n; i += grid_threads())` lets
// neighbouring lanes touch neighbouring elements, 4 sectors for 32 floats.
__device__ int64_t grid_thread() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ int64_t grid_threads() { return int64_t(gridDim.x) * blockDim.x; }

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier
