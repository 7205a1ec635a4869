// The softmax ladder: y = exp(x - max) / sum along the rows of x (rows, columns), float32. An exponential is cheap on a
// GPU, memory is not: what counts is how often a row is read, and how.
#include "cuda/ladder/ladder.h"
#include "cuda/launch.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// 1. Three passes, a thread per row: the formula as it stands. Neighbouring lanes walk down neighbouring rows, so each
// request of a warp meets 32 rows: 32 sectors for 32 numbers, in all three passes and in the writing.
__global__ void naive_softmax(const float* x, float* y, int rows, int columns) {
  const int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  const float* row = x + r * columns;
  float peak = -INFINITY, sum = 0.0f;
  for (int c = 0; c < columns; ++c) peak = fmaxf(peak, row[c]);
  for (int c = 0; c < columns; ++c) sum += expf(row[c] - peak);
  for (int c = 0; c < columns; ++c) y[r * columns + c] = expf(row[c] - peak) / sum;
}

void run_naive(const float* x, float* y, int rows, int columns, void* stream) {
  launch<naive_softmax>(dim3(ceil_div(rows, 128)), dim3(128), 0, stream, x, y, rows, columns);
}

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Larger {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

// A block per row: lanes walk along the row, 4 sectors a request. Each thread has a maximum of what it met, then a sum;
// Over::block makes one of the block's 256, and every thread needs to know it.
template <typename Over>
__global__ void block_softmax(const float* x, float* y, int columns) {
  const float* row = x + blockIdx.x * columns;
  float peak = -INFINITY, sum = 0.0f;
  for (int c = threadIdx.x; c < columns; c += kThreads) peak = fmaxf(peak, row[c]);
  peak = Over::block(peak, Larger());
  for (int c = threadIdx.x; c < columns; c += kThreads) sum += expf(row[c] - peak);
  sum = Over::block(sum, Add());
  for (int c = threadIdx.x; c < columns; c += kThreads) y[blockIdx.x * columns + c] = expf(row[c] - peak) / sum;
}

// 2. Combining in shared memory, by the tree of the reduction ladder's third step: 10 barriers for each of the two.
struct Tree {
  template <typename Combine>
  static __device__ float block(float value, Combine combine) {
    __shared__ float part[kThreads];
    const int t = threadIdx.x;
    part[t] = value;
    __syncthreads();
    for (int half = kThreads / 2; half > 0; half /= 2) {
      if (t < half) part[t] = combine(part[t], part[t + half]);
      __syncthreads();
    }
    const float all = part[0];  // one word for all lanes: a broadcast, one pass
    __syncthreads();            // none writes `part` again before all have read it
    return all;
  }
};

// 3. Combining by shuffles: five exchanges with partners that differ in one bit of the lane's number, after which every
// lane knows its warp's result; 8 numbers through shared memory for the block's. 2 barriers instead of 10.
struct Shuffles {
  template <typename Combine>
  static __device__ float block(float value, Combine combine) {
    __shared__ float of_warps[kThreads / 32];
    for (int lanes = 16; lanes > 0; lanes /= 2) value = combine(value, __shfl_xor_sync(0xffffffffu, value, lanes));
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
    __syncthreads();
    float all = of_warps[0];
    for (int warp = 1; warp < kThreads / 32; ++warp) all = combine(all, of_warps[warp]);
    __syncthreads();
    return all;
  }
};

template <typename Over>
void run_block(const float* x, float* y, int rows, int columns, void* stream) {
  launch<block_softmax<Over>>(dim3(rows), dim3(kThreads), 0, stream, x, y, columns);
}

// 4. Online (Milakov and Gimelshein 2018): maximum and sum in one read. Where the maximum grows from m to m', what was
// summed so far is exp(m - m') times too large. Two parts of a row merge by the same rule, in any order, so lanes and
// warps do. The row is read twice instead of three times, for one more exponential: memory is dear, arithmetic is not.
struct Part {
  float peak, sum;  // of exp(x - peak)
};

__device__ Part merged(Part a, Part b) {
  const float peak = fmaxf(a.peak, b.peak);
  return {peak, a.sum * expf(a.peak - peak) + b.sum * expf(b.peak - peak)};
}

__global__ void online_softmax(const float* x, float* y, int columns) {
  __shared__ float peaks[kThreads / 32], sums[kThreads / 32];
  const float* row = x + blockIdx.x * columns;
  // The least finite number, not -inf: -inf - -inf is not a number, and masked scores are -inf.
  Part part = {-3.402823466e38f, 0.0f};
  for (int c = threadIdx.x; c < columns; c += kThreads) part = merged(part, Part{row[c], 1.0f});
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const Part other = {__shfl_xor_sync(0xffffffffu, part.peak, lanes), __shfl_xor_sync(0xffffffffu, part.sum, lanes)};
    part = threadIdx.x & lanes ? merged(other, part) : merged(part, other);
  }
  if (threadIdx.x % 32 == 0) peaks[threadIdx.x / 32] = part.peak, sums[threadIdx.x / 32] = part.sum;
  __syncthreads();
  part = {peaks[0], sums[0]};
  for (int warp = 1; warp < kThreads / 32; ++warp) part = merged(part, Part{peaks[warp], sums[warp]});
  for (int c = threadIdx.x; c < columns; c += kThreads) {
    y[blockIdx.x * columns + c] = expf(row[c] - part.peak) / part.sum;
  }
}

void run_online(const float* x, float* y, int rows, int columns, void* stream) {
  launch<online_softmax>(dim3(rows), dim3(kThreads), 0, stream, x, y, columns);
}

}  // namespace

extern const CudaLadder<CudaLadderSoftmax> softmax_ladder;
const CudaLadder<CudaLadderSoftmax> softmax_ladder = {4,
                                                      {{"three passes", run_naive},
                                                       {"block per row", run_block<Tree>},
                                                       {"shuffles", run_block<Shuffles>},
                                                       {"online", run_online}}};

}  // namespace RANVIER_GPU
}  // namespace ranvier
