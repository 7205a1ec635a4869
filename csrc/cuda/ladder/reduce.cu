// The reduction ladder: y[0] = the sum of x, float32. One addition for each number that is read, so memory is the
// limit, once the adding does not stand in its way. The steps are those of Harris's "Optimizing Parallel Reduction in
// CUDA" (2007), with the shuffles that came later.
//
// A block cannot wait for another one, so each launch leaves a partial sum per block, and the next adds those up. Which
// numbers meet when follows from `count` alone: the same bits on every run, which an atomicAdd of floats does not give.
#include "cuda/ladder/ladder.h"
#include "cuda/launch.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// Launches until one number is left: every pass leaves one for each `each` of them, kMost at most.
template <auto Kernel, int each, int kMost = INT32_MAX>
void run_passes(const float* x, float* y, int count, void* stream) {
  const int wanted = count / each + (count % each != 0), blocks = wanted < 1 ? 1 : wanted < kMost ? wanted : kMost;
  if (blocks == 1) return launch<Kernel>(dim3(1), dim3(kThreads), 0, stream, x, y, count);
  const Workspace partial(std::size_t(blocks) * sizeof(float));
  launch<Kernel>(dim3(blocks), dim3(kThreads), 0, stream, x, partial.as<float>(), count);
  run_passes<Kernel, each, kMost>(partial.as<float>(), y, blocks, stream);
}

// 1. A tree in shared memory: neighbours first. After each barrier half as many threads have work, but those that do
// are spread over all warps: with `t % 2 == 0` every warp runs, half of its lanes idle (the trace: 16 lanes a request,
// then 8, 4, 2, 1).
__global__ void interleaved_sum(const float* x, float* y, int count) {
  __shared__ float part[kThreads];
  const int t = threadIdx.x, i = blockIdx.x * kThreads + t;
  part[t] = i < count ? x[i] : 0.0f;
  __syncthreads();
  for (int step = 1; step < kThreads; step *= 2) {
    if (t % (2 * step) == 0) part[t] += part[t + step];
    __syncthreads();
  }
  if (t == 0) y[blockIdx.x] = part[0];
}

// 2. The same additions by the first threads: whole warps work, or none of their lanes. But thread t now reads number
// 2 * step * t, and a stride that is a power of two meets few of the 32 banks: 2 passes for the first round, then 4, 8.
__global__ void strided_sum(const float* x, float* y, int count) {
  __shared__ float part[kThreads];
  const int t = threadIdx.x, i = blockIdx.x * kThreads + t;
  part[t] = i < count ? x[i] : 0.0f;
  __syncthreads();
  for (int step = 1; step < kThreads; step *= 2) {
    const int to = 2 * step * t;
    if (to < kThreads) part[to] += part[to + step];
    __syncthreads();
  }
  if (t == 0) y[blockIdx.x] = part[0];
}

// 3. Sequential addressing: add the upper half to the lower half. Neighbouring lanes read neighbouring numbers, so
// there are no conflicts, and still only the first threads work. Other numbers meet than before: another rounding.
__global__ void sequential_sum(const float* x, float* y, int count) {
  __shared__ float part[kThreads];
  const int t = threadIdx.x, i = blockIdx.x * kThreads + t;
  part[t] = i < count ? x[i] : 0.0f;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (t < half) part[t] += part[t + half];
    __syncthreads();
  }
  if (t == 0) y[blockIdx.x] = part[0];
}

// 4. Warp shuffles: the lanes of a warp read each other's registers. Five shuffles add up a warp; shared memory carries
// one number per warp, and one barrier is left of nine.
__device__ float sum_of_warp(float value) {  // lane 0 gets it
  for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_down_sync(0xffffffffu, value, lanes);
  return value;
}

__device__ float sum_of_block(float value) {  // thread 0 gets it
  __shared__ float of_warps[kThreads / 32];
  const int t = threadIdx.x;
  value = sum_of_warp(value);
  if (t % 32 == 0) of_warps[t / 32] = value;
  __syncthreads();
  return t < 32 ? sum_of_warp(t < kThreads / 32 ? of_warps[t] : 0.0f) : 0.0f;
}

__global__ void shuffled_sum(const float* x, float* y, int count) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  const float sum = sum_of_block(i < count ? x[i] : 0.0f);
  if (threadIdx.x == 0) y[blockIdx.x] = sum;
}

// 5. Several numbers a thread: until now the additions of step 4 came after each 256 numbers. Let a thread first add up
// what lies a whole grid apart, at least 8 numbers, while neighbouring lanes still read side by side: the tree's cost
// is shared by them all, and 512 blocks (which fill any GPU of today) leave so few partial sums that one block ends it.
constexpr int kEach = 8, kMostPartial = 512;

__global__ void several_sum(const float* x, float* y, int count) {
  float sum = 0.0f;
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) sum += x[i];
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) y[blockIdx.x] = sum;
}

}  // namespace

extern const CudaLadder<CudaLadderSum> sum_ladder;
const CudaLadder<CudaLadderSum> sum_ladder = {
    5,
    {{"interleaved", run_passes<interleaved_sum, kThreads>},
     {"strided", run_passes<strided_sum, kThreads>},
     {"sequential", run_passes<sequential_sum, kThreads>},
     {"shuffles", run_passes<shuffled_sum, kThreads>},
     {"several a thread", run_passes<several_sum, kThreads * kEach, kMostPartial>}}};

}  // namespace RANVIER_GPU
}  // namespace ranvier
