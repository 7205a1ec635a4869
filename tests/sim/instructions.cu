// Instructions of cuda/ptx.h alone, each with known operands. tests/sim/test_instructions.py runs them.
#include "cuda/cuda.h"
#include "cuda/ptx.h"

namespace {

using ranvier::launch;

// c (16, 8) = a (16, 16) b (16, 8), bfloat16, both as 16-bit patterns; b comes transposed, (8, 16).
__global__ void one_fragment(const unsigned short* a, const unsigned short* b, float* c) {
  __shared__ __align__(16) unsigned short a_tile[16][16];
  __shared__ __align__(16) unsigned short b_tile[8][16];
  const int lane = threadIdx.x, g = lane / 4, t = lane % 4;
  for (int e = lane; e < 256; e += 32) a_tile[e / 16][e % 16] = a[e];
  for (int e = lane; e < 128; e += 32) b_tile[e / 16][e % 16] = b[e];
  __syncwarp();
  unsigned a_part[4], b_part[2];
  // Matrices 0 to 3 of ldmatrix: rows 0-7 and 8-15 of the left half of A, then of the right.
  ranvier::ldmatrix_x4(a_part, &a_tile[lane % 16][lane / 16 * 8]);
  for (int e = 0; e < 2; ++e) {
    b_part[e] = b_tile[g][2 * t + 8 * e] | static_cast<unsigned>(b_tile[g][2 * t + 8 * e + 1]) << 16;
  }
  float sums[4] = {};
  ranvier::mma_bf16(sums, a_part, b_part);
  for (int e = 0; e < 4; ++e) c[(g + e / 2 * 8) * 8 + 2 * t + e % 2] = sums[e];
}

// c (16, 16) = a b, float16 or bfloat16, both stored as (p, i) and (p, j), 16 x 16: ldmatrix turns them.
template <bool kHalf>
__global__ void turned_fragments(const unsigned short* a, const unsigned short* b, float* c) {
  __shared__ __align__(16) unsigned short a_tile[16][16];
  __shared__ __align__(16) unsigned short b_tile[16][16];
  const int lane = threadIdx.x, g = lane / 4, t = lane % 4;
  for (int e = lane; e < 256; e += 32) a_tile[e / 16][e % 16] = a[e];
  for (int e = lane; e < 256; e += 32) b_tile[e / 16][e % 16] = b[e];
  __syncwarp();
  unsigned a_part[4], b_part[4];
  ranvier::ldmatrix_x4_transposed(a_part, &a_tile[lane / 16 * 8 + lane % 8][lane / 8 % 2 * 8]);
  ranvier::ldmatrix_x4_transposed(b_part, &b_tile[lane % 16][lane / 16 * 8]);
  for (int right = 0; right < 2; ++right) {
    const unsigned half[2] = {b_part[2 * right], b_part[2 * right + 1]};
    float sums[4] = {};
    if (kHalf) {
      ranvier::mma_f16(sums, a_part, half);
    } else {
      ranvier::mma_bf16(sums, a_part, half);
    }
    for (int e = 0; e < 4; ++e) c[(g + e / 2 * 8) * 16 + 8 * right + 2 * t + e % 2] = sums[e];
  }
}

__global__ void shuffles(int* y) {
  const int lane = threadIdx.x;
  y[lane] = __shfl_sync(0xffffffffu, lane, lane + 3, 8);
  y[32 + lane] = __shfl_up_sync(0xffffffffu, lane, 3, 16);
  y[64 + lane] = __shfl_down_sync(0xffffffffu, lane, 3, 16);
  y[96 + lane] = __shfl_xor_sync(0xffffffffu, lane, 5);
  y[128 + lane] = static_cast<int>(__ballot_sync(0xffffffffu, lane % 3 == 0));
  y[160 + lane] = __any_sync(0xffffffffu, lane == 9) * 2 + __all_sync(0xffffffffu, lane < 32);
  if (lane < 16) y[192 + lane] = __shfl_xor_sync(0x0000ffffu, lane, 1);  // half a warp
}

__global__ void atomics(int* y) {
  atomicAdd(&y[0], static_cast<int>(threadIdx.x));
  atomicMax(&y[1], static_cast<int>(threadIdx.x));
  atomicMin(&y[2], static_cast<int>(threadIdx.x));
  atomicOr(&y[3], 1 << threadIdx.x % 8);
  if (atomicCAS(&y[4], 0, static_cast<int>(threadIdx.x) + 1) == 0) atomicExch(&y[5], 1);
}

}  // namespace

extern "C" void run_fragment(const unsigned short* a, const unsigned short* b, float* c) {
  launch<one_fragment>(1, 32, 0, nullptr, a, b, c);
}
extern "C" void run_turned_fragments(const unsigned short* a, const unsigned short* b, float* c, int half) {
  if (half != 0) return launch<turned_fragments<true>>(1, 32, 0, nullptr, a, b, c);
  launch<turned_fragments<false>>(1, 32, 0, nullptr, a, b, c);
}
extern "C" void run_shuffles(int* y) { launch<shuffles>(1, 32, 0, nullptr, y); }
extern "C" void run_atomics(int* y) { launch<atomics>(3, 64, 0, nullptr, y); }
