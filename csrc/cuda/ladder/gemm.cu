// The gemm ladder on a GPU: c (m, n) = a (m, k) b (k, n), row-major float32, from one thread per element to tensor
// cores.
//
// What limits each step is counted, not guessed: `rv.sim.trace()` prints sectors and wavefronts of every line below, on
// any machine (docs/simulator.md). The steps are those of Boehm's "How to Optimize a CUDA Matmul
// Kernel" (2022), and the sizes are those that an A100 likes.
#include "cuda/cuda.h"
#include "cuda/ladder/ladder.h"
#include "cuda/ptx.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

__host__ __device__ constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

// 1. One thread per element of C, threads of a warp down a column. Each of the 32 lanes then reads another row of A: 32
// sectors of 32 bytes for 32 floats, seven eighths of what comes from memory thrown away.
__global__ void naive(const float* a, const float* b, float* c, int m, int n, int k) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const int j = blockIdx.y * blockDim.y + threadIdx.y;
  if (i >= m || j >= n) return;
  float sum = 0.0f;
  for (int p = 0; p < k; ++p) sum += a[i * k + p] * b[p * n + j];
  c[i * n + j] = sum;
}

void run_naive(const float* a, const float* b, float* c, int m, int n, int k, void* stream) {
  launch<naive>(dim3(ceil_div(m, 32), ceil_div(n, 8)), dim3(32, 8), 0, stream, a, b, c, m, n, k);
}

// 2. The same with i and j exchanged: lanes go along a row. They share one float of A (1 sector) and read 32 floats of
// B side by side (4 sectors): 5 sectors for each step of p where there were 33.
__global__ void coalesced(const float* a, const float* b, float* c, int m, int n, int k) {
  const int i = blockIdx.y * blockDim.y + threadIdx.y;
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= m || j >= n) return;
  float sum = 0.0f;
  for (int p = 0; p < k; ++p) sum += a[i * k + p] * b[p * n + j];
  c[i * n + j] = sum;
}

void run_coalesced(const float* a, const float* b, float* c, int m, int n, int k, void* stream) {
  launch<coalesced>(dim3(ceil_div(n, 32), ceil_div(m, 8)), dim3(32, 8), 0, stream, a, b, c, m, n, k);
}

// 3. Shared tiles: a block of 32 x 32 threads brings a 32 x 32 tile of A and one of B into shared memory, and each
// float is then used by 32 threads. Global loads: 2 per 32 multiply-adds instead of 64. Two barriers a tile: all must
// have written before any reads, and all must have read before any writes again.
__global__ void shared_tiles(const float* a, const float* b, float* c, int m, int n, int k) {
  __shared__ float a_tile[32][32];
  __shared__ float b_tile[32][32];
  const int x = threadIdx.x, y = threadIdx.y;
  const int i = blockIdx.y * 32 + y, j = blockIdx.x * 32 + x;
  float sum = 0.0f;
  for (int p0 = 0; p0 < k; p0 += 32) {
    a_tile[y][x] = i < m && p0 + x < k ? a[i * k + p0 + x] : 0.0f;
    b_tile[y][x] = p0 + y < k && j < n ? b[(p0 + y) * n + j] : 0.0f;
    __syncthreads();
    for (int p = 0; p < 32; ++p) sum += a_tile[y][p] * b_tile[p][x];
    __syncthreads();
  }
  if (i < m && j < n) c[i * n + j] = sum;
}

void run_shared_tiles(const float* a, const float* b, float* c, int m, int n, int k, void* stream) {
  launch<shared_tiles>(dim3(ceil_div(n, 32), ceil_div(m, 32)), dim3(32, 32), 0, stream, a, b, c, m, n, k);
}

// 4. A column of registers: step 3 reads two floats of shared memory for each multiply-add. Let a thread compute 8
// elements of a column of C: a float of B, read once, serves all 8. 9 reads for 8 multiply-adds.
__global__ void register_column(const float* a, const float* b, float* c, int m, int n, int k) {
  constexpr int kTile = 64, kDepth = 8, kEach = 8;
  __shared__ float a_tile[kTile][kDepth];
  __shared__ float b_tile[kDepth][kTile];
  const int t = threadIdx.x;                              // 512 threads
  const int row = t / kTile * kEach, column = t % kTile;  // of the tile: the first of this thread's elements
  const int i0 = blockIdx.y * kTile, j0 = blockIdx.x * kTile;
  float sums[kEach] = {};
  for (int p0 = 0; p0 < k; p0 += kDepth) {
    const int a_row = t / kDepth, a_column = t % kDepth, b_row = t / kTile;
    a_tile[a_row][a_column] = i0 + a_row < m && p0 + a_column < k ? a[(i0 + a_row) * k + p0 + a_column] : 0.0f;
    b_tile[b_row][column] = p0 + b_row < k && j0 + column < n ? b[(p0 + b_row) * n + j0 + column] : 0.0f;
    __syncthreads();
    for (int p = 0; p < kDepth; ++p) {
      const float shared_by_all = b_tile[p][column];
      for (int e = 0; e < kEach; ++e) sums[e] += a_tile[row + e][p] * shared_by_all;
    }
    __syncthreads();
  }
  for (int e = 0; e < kEach; ++e) {
    if (i0 + row + e < m && j0 + column < n) c[(i0 + row + e) * n + j0 + column] = sums[e];
  }
}

void run_register_column(const float* a, const float* b, float* c, int m, int n, int k, void* stream) {
  launch<register_column>(dim3(ceil_div(n, 64), ceil_div(m, 64)), dim3(512), 0, stream, a, b, c, m, n, k);
}

// 5. A square of registers: 8 x 8 elements a thread. 16 reads of shared memory feed 64 multiply-adds, a quarter of a
// read for each: now the arithmetic units are the limit. From here on a block is 128 x 128 and has 256 threads.
constexpr int kBlock = 128, kDepth = 8, kEach = 8, kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    register_square(const float* a, const float* b, float* c, int m, int n, int k) {
  __shared__ float a_tile[kBlock][kDepth];
  __shared__ float b_tile[kDepth][kBlock];
  const int t = threadIdx.x, row = t / 16 * kEach, column = t % 16 * kEach;
  const int i0 = blockIdx.y * kBlock, j0 = blockIdx.x * kBlock;
  float sums[kEach][kEach] = {};
  for (int p0 = 0; p0 < k; p0 += kDepth) {
    for (int e = t; e < kBlock * kDepth; e += kThreads) {
      const int i = e / kDepth, p = e % kDepth;
      a_tile[i][p] = i0 + i < m && p0 + p < k ? a[(i0 + i) * k + p0 + p] : 0.0f;
    }
    for (int e = t; e < kBlock * kDepth; e += kThreads) {
      const int p = e / kBlock, j = e % kBlock;
      b_tile[p][j] = p0 + p < k && j0 + j < n ? b[(p0 + p) * n + j0 + j] : 0.0f;
    }
    __syncthreads();
    for (int p = 0; p < kDepth; ++p) {
      float a_part[kEach], b_part[kEach];
      for (int e = 0; e < kEach; ++e) a_part[e] = a_tile[row + e][p], b_part[e] = b_tile[p][column + e];
      for (int r = 0; r < kEach; ++r) {
        for (int s = 0; s < kEach; ++s) sums[r][s] += a_part[r] * b_part[s];
      }
    }
    __syncthreads();
  }
  for (int r = 0; r < kEach; ++r) {
    for (int s = 0; s < kEach; ++s) {
      if (i0 + row + r < m && j0 + column + s < n) c[(i0 + row + r) * n + j0 + column + s] = sums[r][s];
    }
  }
}

void run_register_square(const float* a, const float* b, float* c, int m, int n, int k, void* stream) {
  launch<register_square>(dim3(ceil_div(n, kBlock), ceil_div(m, kBlock)), dim3(kThreads), 0, stream, a, b, c, m, n, k);
}

}  // namespace

// Steps 6 to 9: gemm_tiles.cu.
void run_wide_loads(const float* a, const float* b, float* c, int m, int n, int k, void* stream);
void run_warp_tiles(const float* a, const float* b, float* c, int m, int n, int k, void* stream);
void run_double_buffers(const float* a, const float* b, float* c, int m, int n, int k, void* stream);
void run_tensor_cores(const float* a, const float* b, float* c, int m, int n, int k, void* stream);

extern const CudaLadder<CudaLadderGemm> gemm_ladder;
const CudaLadder<CudaLadderGemm> gemm_ladder = {9,
                                                {{"naive", run_naive},
                                                 {"coalesced", run_coalesced},
                                                 {"shared tiles", run_shared_tiles},
                                                 {"register column", run_register_column},
                                                 {"register square", run_register_square},
                                                 {"wide loads", run_wide_loads},
                                                 {"warp tiles", run_warp_tiles},
                                                 {"double buffers", run_double_buffers},
                                                 {"tensor cores", run_tensor_cores}}};

}  // namespace RANVIER_GPU
}  // namespace ranvier
