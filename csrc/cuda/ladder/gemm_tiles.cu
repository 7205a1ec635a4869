// The gemm ladder, upper half: blocks of 128 x 128 elements of C, 256 threads of 8 x 8 each, as step 5 left them.
#include "cuda/cuda.h"
#include "cuda/ladder/four.h"
#include "cuda/ladder/ladder.h"
#include "cuda/ptx.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

constexpr int kBlock = 128, kEach = 8, kThreads = 256;

dim3 blocks_of(int m, int n) { return dim3((n + kBlock - 1) / kBlock, (m + kBlock - 1) / kBlock); }

// 6. Wide loads: a request of a warp costs the same for 4 bytes a lane as for 16. Global memory is read by float4; so
// is shared memory, for which A is stored transposed. Its rows are 4 floats longer than they need be: else the
// transposed stores of rows 0 and 4 would hit the same banks.
constexpr int kWide = 8;  // depth of a tile

__device__ void load_tiles(const float* a, const float* b, float (*a_tile)[kBlock + 4], float (*b_tile)[kBlock], int m,
                           int n, int k, int i0, int j0, int p0) {
  const int t = threadIdx.x, a_row = t / 2, a_column = t % 2 * 4, b_row = t / 32, b_column = t % 32 * 4;
  const float4 of_a = load_four(a + (i0 + a_row) * k, p0 + a_column, k, i0 + a_row < m);
  a_tile[a_column][a_row] = of_a.x;
  a_tile[a_column + 1][a_row] = of_a.y;
  a_tile[a_column + 2][a_row] = of_a.z;
  a_tile[a_column + 3][a_row] = of_a.w;
  const float4 of_b = load_four(b + (p0 + b_row) * n, j0 + b_column, n, p0 + b_row < k);
  *reinterpret_cast<float4*>(&b_tile[b_row][b_column]) = of_b;
}

__global__ void __launch_bounds__(kThreads) wide_loads(const float* a, const float* b, float* c, int m, int n, int k) {
  __shared__ __align__(16) float a_tile[kWide][kBlock + 4];
  __shared__ __align__(16) float b_tile[kWide][kBlock];
  const int t = threadIdx.x, row = t / 16 * kEach, column = t % 16 * kEach;
  const int i0 = blockIdx.y * kBlock, j0 = blockIdx.x * kBlock;
  float sums[kEach][kEach] = {};
  for (int p0 = 0; p0 < k; p0 += kWide) {
    load_tiles(a, b, a_tile, b_tile, m, n, k, i0, j0, p0);
    __syncthreads();
    for (int p = 0; p < kWide; ++p) {
      __align__(16) float a_part[kEach], b_part[kEach];
      for (int e = 0; e < kEach; e += 4) {
        *reinterpret_cast<float4*>(&a_part[e]) = *reinterpret_cast<const float4*>(&a_tile[p][row + e]);
        *reinterpret_cast<float4*>(&b_part[e]) = *reinterpret_cast<const float4*>(&b_tile[p][column + e]);
      }
      for (int r = 0; r < kEach; ++r) {
        for (int s = 0; s < kEach; ++s) sums[r][s] += a_part[r] * b_part[s];
      }
    }
    __syncthreads();
  }
  for (int r = 0; r < kEach; ++r) {
    for (int s = 0; s < kEach; s += 4) {
      store_four(c + (i0 + row + r) * n, j0 + column + s, n, i0 + row + r < m, &sums[r][s]);
    }
  }
}

}  // namespace

void run_wide_loads(const float* a, const float* b, float* c, int m, int n, int k, void* stream) {
  launch<wide_loads>(blocks_of(m, n), dim3(kThreads), 0, stream, a, b, c, m, n, k);
}

namespace {

// 7 and 8 share what follows. Warp tiles: in step 6 a warp covers 16 x 128 elements, so its 32 lanes ask for 16
// different parts of B. A warp of 64 x 32 elements, 8 lanes down and 4 across, asks for 8 parts of A and 4 of B. Each
// lane's columns lie in two groups of 4, so that neighbours read side by side.
struct Lane {
  int row, column;  // in the block: rows row .. row + 7, columns column .. + 3 and column + 16 .. + 19
};

__device__ Lane my_lane() {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  return Lane{warp / 4 * 64 + lane / 4 * kEach, warp % 4 * 32 + lane % 4 * 4};
}

template <int Depth, int Pitch>
__device__ void multiply_tiles(const float (*a_tile)[Pitch], const float (*b_tile)[kBlock], Lane lane,
                               float (&sums)[kEach][kEach]) {
  for (int p = 0; p < Depth; ++p) {
    __align__(16) float a_part[kEach], b_part[kEach];
    for (int half = 0; half < 2; ++half) {
      *reinterpret_cast<float4*>(&a_part[4 * half]) = *reinterpret_cast<const float4*>(&a_tile[p][lane.row + 4 * half]);
      *reinterpret_cast<float4*>(&b_part[4 * half]) =
          *reinterpret_cast<const float4*>(&b_tile[p][lane.column + 16 * half]);
    }
    for (int r = 0; r < kEach; ++r) {
      for (int s = 0; s < kEach; ++s) sums[r][s] += a_part[r] * b_part[s];
    }
  }
}

__device__ void store_sums(float* c, int m, int n, int i0, int j0, Lane lane, const float (&sums)[kEach][kEach]) {
  for (int r = 0; r < kEach; ++r) {
    for (int half = 0; half < 2; ++half) {
      store_four(c + (i0 + lane.row + r) * n, j0 + lane.column + 16 * half, n, i0 + lane.row + r < m,
                 &sums[r][4 * half]);
    }
  }
}

__global__ void __launch_bounds__(kThreads) warp_tiles(const float* a, const float* b, float* c, int m, int n, int k) {
  __shared__ __align__(16) float a_tile[kWide][kBlock + 4];
  __shared__ __align__(16) float b_tile[kWide][kBlock];
  const int i0 = blockIdx.y * kBlock, j0 = blockIdx.x * kBlock;
  const Lane lane = my_lane();
  float sums[kEach][kEach] = {};
  for (int p0 = 0; p0 < k; p0 += kWide) {
    load_tiles(a, b, a_tile, b_tile, m, n, k, i0, j0, p0);
    __syncthreads();
    multiply_tiles<kWide>(a_tile, b_tile, lane, sums);
    __syncthreads();
  }
  store_sums(c, m, n, i0, j0, lane, sums);
}

}  // namespace

void run_warp_tiles(const float* a, const float* b, float* c, int m, int n, int k, void* stream) {
  launch<warp_tiles>(blocks_of(m, n), dim3(kThreads), 0, stream, a, b, c, m, n, k);
}

namespace {

// 8. Double buffers: while the tiles of one step are multiplied, cp.async brings those of the next into a second pair,
// past the registers. One barrier a step is left: who passes it has finished with the buffer that is filled next.
constexpr int kDeep = 16;

__device__ void fetch(const float* a, const float* b, float (*a_tile)[kBlock + 4], float (*b_tile)[kBlock], int m,
                      int n, int k, int i0, int j0, int p0) {
  const int t = threadIdx.x;
  for (int e = t; e < kBlock * kDeep; e += kThreads) {  // float by float: A is transposed on its way
    const int i = e / kDeep, p = e % kDeep;
    const bool inside = i0 + i < m && p0 + p < k;
    cp_async<4>(&a_tile[p][i], inside ? a + (i0 + i) * k + p0 + p : a, inside ? 4 : 0);
  }
  for (int e = t; e < kDeep * kBlock / 4; e += kThreads) {
    const int p = e / (kBlock / 4), j = e % (kBlock / 4) * 4;
    const int left = p0 + p < k ? n - (j0 + j) : 0, valid = left < 0 ? 0 : left > 4 ? 4 : left;
    const float* from = valid > 0 ? b + (p0 + p) * n + j0 + j : b;
    if (reinterpret_cast<std::uintptr_t>(from) % 16 == 0) {
      cp_async<16>(&b_tile[p][j], from, 4 * valid);
    } else {
      for (int s = 0; s < 4; ++s) cp_async<4>(&b_tile[p][j + s], s < valid ? from + s : b, s < valid ? 4 : 0);
    }
  }
  cp_async_commit();
}

__global__ void __launch_bounds__(kThreads)
    double_buffers(const float* a, const float* b, float* c, int m, int n, int k) {
  __shared__ __align__(16) float a_tile[2][kDeep][kBlock + 4];
  __shared__ __align__(16) float b_tile[2][kDeep][kBlock];
  const int i0 = blockIdx.y * kBlock, j0 = blockIdx.x * kBlock;
  const Lane lane = my_lane();
  float sums[kEach][kEach] = {};
  fetch(a, b, a_tile[0], b_tile[0], m, n, k, i0, j0, 0);
  for (int p0 = 0, now = 0; p0 < k; p0 += kDeep, now ^= 1) {
    cp_async_wait<0>();
    __syncthreads();
    if (p0 + kDeep < k) fetch(a, b, a_tile[now ^ 1], b_tile[now ^ 1], m, n, k, i0, j0, p0 + kDeep);
    multiply_tiles<kDeep>(a_tile[now], b_tile[now], lane, sums);
  }
  cp_async_wait<0>();
  store_sums(c, m, n, i0, j0, lane, sums);
}

}  // namespace

void run_double_buffers(const float* a, const float* b, float* c, int m, int n, int k, void* stream) {
  launch<double_buffers>(blocks_of(m, n), dim3(kThreads), 0, stream, a, b, c, m, n, k);
}

namespace {

// 9. Tensor cores: a warp multiplies 16 x 8 by 8 x 8 with one instruction, 16 times what its float units do. The price
// is tf32: 10 bits of fraction instead of 23 in what is multiplied (sums stay float32). Rows of both tiles are padded
// so that the 8 x 4 lanes of a fragment meet 32 different banks: 20 g + t for A, 136 t + g for B.
__global__ void __launch_bounds__(kThreads)
    tensor_cores(const float* a, const float* b, float* c, int m, int n, int k) {
  __shared__ __align__(16) float a_tile[kBlock][kDeep + 4];
  __shared__ __align__(16) float b_tile[kDeep][kBlock + 8];
  const int i0 = blockIdx.y * kBlock, j0 = blockIdx.x * kBlock;
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const int row = warp / 4 * 64, column = warp % 4 * 32;  // of the warp's 64 x 32 elements: 4 x 4 fragments
  float sums[4][4][4] = {};
  for (int p0 = 0; p0 < k; p0 += kDeep) {
    for (int e = threadIdx.x; e < kBlock * kDeep / 4; e += kThreads) {
      const int i = e / 4, p = e % 4 * 4;
      *reinterpret_cast<float4*>(&a_tile[i][p]) = load_four(a + (i0 + i) * k, p0 + p, k, i0 + i < m);
    }
    for (int e = threadIdx.x; e < kBlock * kDeep / 4; e += kThreads) {
      const int p = e / (kBlock / 4), j = e % (kBlock / 4) * 4;
      *reinterpret_cast<float4*>(&b_tile[p][j]) = load_four(b + (p0 + p) * n, j0 + j, n, p0 + p < k);
    }
    __syncthreads();
    for (int p = 0; p < kDeep; p += 8) {
      unsigned a_part[4][4], b_part[4][2];
      for (int f = 0; f < 4; ++f) {
        for (int e = 0; e < 4; ++e) a_part[f][e] = to_tf32(a_tile[row + 16 * f + g + e % 2 * 8][p + t + e / 2 * 4]);
        for (int e = 0; e < 2; ++e) b_part[f][e] = to_tf32(b_tile[p + t + 4 * e][column + 8 * f + g]);
      }
      for (int r = 0; r < 4; ++r) {
        for (int s = 0; s < 4; ++s) mma_tf32(sums[r][s], a_part[r], b_part[s]);
      }
    }
    __syncthreads();
  }
  for (int r = 0; r < 4; ++r) {
    for (int s = 0; s < 4; ++s) {
      for (int e = 0; e < 4; ++e) {
        const int i = i0 + row + 16 * r + g + e / 2 * 8, j = j0 + column + 8 * s + 2 * t + e % 2;
        if (i < m && j < n) c[i * n + j] = sums[r][s][e];
      }
    }
  }
}

}  // namespace

void run_tensor_cores(const float* a, const float* b, float* c, int m, int n, int k, void* stream) {
  launch<tensor_cores>(blocks_of(m, n), dim3(kThreads), 0, stream, a, b, c, m, n, k);
}

}  // namespace RANVIER_GPU
}  // namespace ranvier
