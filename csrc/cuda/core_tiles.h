// The product of gemm_tiles.h for float16 and bfloat16, on tensor cores: `multiply` goes there for these, with the same
// operands and epilogues.
//
// A block of 8 warps computes 128 x 128 elements of c, a warp 64 x 32 of them: 4 x 4 fragments of mma m16n8k16, with
// float32 sums. Of every 16 steps of p a warp reads (64 + 32) 16 values for 64 32 16 multiply-adds. Tiles stay as
// memory has them, along p or across, and ldmatrix turns what lies across. 8 values make a row of ldmatrix, and 16
// bytes of padding put 8 rows into 8 different groups of 4 banks (rows of 80 bytes: 0 20 8 28 16 4 24 12; of 272: 0 4 8
// ...).
//
// Two stages: while one is multiplied, cp.async fills the other with 8 values a copy. Where rows do not consist of
// eights (`eights`), values come one by one.
#pragma once

#include "cuda/half.h"
#include "cuda/launch.h"
#include "cuda/ptx.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

struct ProductSizes {
  int64_t count, m, n, k;
};

constexpr int kCoreTile = 128, kCoreDepth = 32, kEight = 8;

// One operand's part of a stage: (i, p) where memory lies along p, else (p, i).
template <bool kAlongP>
struct CoreTile {
  static constexpr int kRows = kAlongP ? kCoreTile : kCoreDepth, kColumns = kAlongP ? kCoreDepth : kCoreTile;
  static constexpr int kStride = kColumns + kEight;
};

__device__ void mma(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], Float16) { mma_f16(c, a, b); }
__device__ void mma(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], BFloat16) { mma_bf16(c, a, b); }

template <typename T, typename Operand>
__device__ void fill_stage(T* tile, int64_t product, int64_t i0, int64_t rows, int64_t p0, int64_t end,
                           const Operand& from) {
  using Tile = CoreTile<Operand::kAlongP>;
  const int each = from.eights ? kEight : 1;
  for (int e = int(threadIdx.x) * each; e < Tile::kRows * Tile::kColumns; e += kThreads * each) {
    const int row = e / Tile::kColumns, column = e % Tile::kColumns;
    const int64_t i = i0 + (Operand::kAlongP ? row : column), p = p0 + (Operand::kAlongP ? column : row);
    T* to = tile + row * Tile::kStride + column;
    const T* place = i < rows && p < end ? from.at(product, i, p) : nullptr;
    if (from.eights) {
      cp_async<16>(to, place != nullptr ? place : from.data, place != nullptr ? 16 : 0);
    } else {
      *to = place != nullptr ? *place : T{};
    }
  }
}

// Four 8x8 matrices at (i, p), (i + 8, p), (i, p + 8), (i + 8, p + 8), or the middle two exchanged: the registers of a
// fragment of a, or of two of b.
template <bool kAlongP, bool kDeepFirst, typename T>
__device__ void load_matrices(unsigned (&d)[4], const T* tile, int i, int p) {
  using Tile = CoreTile<kAlongP>;
  const int lane = threadIdx.x % 32, first = lane / 8 % 2 * 8, second = lane / 16 * 8;
  i += kDeepFirst ? second : first;
  p += kDeepFirst ? first : second;
  if constexpr (kAlongP) {
    ldmatrix_x4(d, tile + (i + lane % 8) * Tile::kStride + p);
  } else {
    ldmatrix_x4_transposed(d, tile + (p + lane % 8) * Tile::kStride + i);
  }
}

template <typename A, typename B, typename T>
__device__ void multiply_stage(float (&sums)[4][4][4], const T* a_tile, const T* b_tile, int row, int column) {
#pragma unroll
  for (int p = 0; p < kCoreDepth; p += 16) {
    unsigned a_part[4][4], b_part[4][2];
#pragma unroll
    for (int f = 0; f < 4; ++f) load_matrices<A::kAlongP, false>(a_part[f], a_tile, row + 16 * f, p);
#pragma unroll
    for (int f = 0; f < 4; f += 2) {
      unsigned two[4];
      load_matrices<B::kAlongP, true>(two, b_tile, column + 8 * f, p);
      b_part[f][0] = two[0];
      b_part[f][1] = two[1];
      b_part[f + 1][0] = two[2];
      b_part[f + 1][1] = two[3];
    }
#pragma unroll
    for (int r = 0; r < 4; ++r) {
#pragma unroll
      for (int q = 0; q < 4; ++q) mma(sums[r][q], a_part[r], b_part[q], T{});
    }
  }
}

// A: bool kAlongP, eights; const T* data, const T* at(product, i, p), which is null for a zero. Where `eights`, the 7
// values behind that one lie there, too. B the same with (product, j, p). C: void operator()(product, i, j, sum).
template <typename T, typename A, typename B, typename C>
__global__ void __launch_bounds__(kThreads)
    multiply_on_cores(const ProductSizes s, int64_t splits, const A a, const B b, const C c) {
  using ATile = CoreTile<A::kAlongP>;
  using BTile = CoreTile<B::kAlongP>;
  __shared__ __align__(16) T a_tiles[2][ATile::kRows * ATile::kStride];
  __shared__ __align__(16) T b_tiles[2][BTile::kRows * BTile::kStride];
  const int64_t down = ceil_div<int64_t>(s.m, kCoreTile), across = ceil_div<int64_t>(s.n, kCoreTile);
  const int64_t depth = ceil_div<int64_t>(ceil_div<int64_t>(s.k, splits), kCoreDepth) * kCoreDepth;
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const int row = warp / 4 * 64, column = warp % 4 * 32;
  for (int64_t tile = blockIdx.x; tile < s.count * splits * down * across; tile += gridDim.x) {
    const int64_t j0 = tile % across * kCoreTile, i0 = tile / across % down * kCoreTile;
    const int64_t part = tile / across / down % splits, product = tile / across / down / splits;
    const int64_t begin = part * depth, end = begin + depth < s.k ? begin + depth : s.k;
    float sums[4][4][4] = {};
    const auto fill = [&](int stage, int64_t p0) {
      fill_stage(a_tiles[stage], product, i0, s.m, p0, end, a);
      fill_stage(b_tiles[stage], product, j0, s.n, p0, end, b);
      cp_async_commit();
    };
    if (begin < end) fill(0, begin);
    int now = 0;
    for (int64_t p0 = begin; p0 < end; p0 += kCoreDepth, now ^= 1) {
      cp_async_wait<0>();
      __syncthreads();  // this stage is filled, and the other one no longer read
      if (p0 + kCoreDepth < end) fill(now ^ 1, p0 + kCoreDepth);
      multiply_stage<A, B>(sums, a_tiles[now], b_tiles[now], row, column);
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < 4; ++r) {
#pragma unroll
      for (int q = 0; q < 4; ++q) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int64_t i = i0 + row + 16 * r + g + e / 2 * 8, j = j0 + column + 8 * q + 2 * t + e % 2;
          if (i < s.m && j < s.n) c(product * splits + part, i, j, sums[r][q][e]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier
