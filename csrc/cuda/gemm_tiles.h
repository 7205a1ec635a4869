// One tiled product for all that is one: c (m, n) = sum over p < k of a(i, p) b(p, j), for `count` such products. Where
// elements come from and where sums go to is the caller's: matrices either way round, patches of an image, and what
// follows the sum (bias, activation). 16-bit floats go to the tensor cores (core_tiles.h).
//
// A block of 256 threads computes 64 x 64 elements of c, 4 x 4 of them each: of every 16 steps of p, 8 reads of shared
// memory serve 16 multiply-adds. A thread's rows and columns lie 16 apart, so that lanes read neighbouring columns of
// the tile of b (one wavefront), share rows of a (one word for 16 lanes), and write neighbouring elements of c. Tiles
// have rows of 64 + 2: where lanes load along p, 16 of them store into 16 rows, and rows that start 2 banks apart keep
// the 32 stores of a warp on 32 banks.
//
// Long sums with few tiles are split (`splits`, from the sizes alone): each part of p has its own sums, which are then
// added in order. So results repeat bit for bit.
#pragma once

#include "cuda/core_tiles.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

constexpr int kGemmTile = 64, kGemmDepth = 16, kGemmEach = 4;

inline int64_t tiles_of(ProductSizes s, int64_t tile) { return s.count * ceil_div(s.m, tile) * ceil_div(s.n, tile); }

// Parts of k: as many as give the tiles of c company, each at least 512 long.
inline int64_t splits_for(ProductSizes s, int64_t tiles) {
  const int64_t wanted = ceil_div<int64_t>(256, tiles), most = s.k / 512;
  const int64_t splits = wanted < most ? wanted : most;
  return splits < 1 ? 1 : splits > 64 ? 64 : splits;
}

// Loads 64 x 16 elements into tile[p][i], lanes along p or along i, as memory lies. load(i, p) is asked for elements
// that exist only.
template <bool kAlongP, typename T, typename Load>
__device__ void load_tile(T (*tile)[kGemmTile + 2], int64_t i0, int64_t rows, int64_t p0, int64_t end,
                          const Load& load) {
#pragma unroll
  for (int e = threadIdx.x; e < kGemmTile * kGemmDepth; e += kThreads) {
    const int p = kAlongP ? e % kGemmDepth : e / kGemmTile, i = kAlongP ? e / kGemmDepth : e % kGemmTile;
    const T* place = i0 + i < rows && p0 + p < end ? load(i0 + i, p0 + p) : nullptr;
    tile[p][i] = place != nullptr ? *place : T(0);
  }
}

// A: bool kAlongP; const T* at(product, i, p), null for a zero. B the same with (product, j, p). C: void
// operator()(product, i, j, sum).
template <typename T, typename A, typename B, typename C>
__global__ void __launch_bounds__(kThreads) multiply_tiles(ProductSizes s, int64_t splits, A a, B b, C c) {
  __shared__ T a_tile[kGemmDepth][kGemmTile + 2];
  __shared__ T b_tile[kGemmDepth][kGemmTile + 2];
  const int64_t down = ceil_div<int64_t>(s.m, kGemmTile), across = ceil_div<int64_t>(s.n, kGemmTile);
  const int64_t depth = ceil_div<int64_t>(ceil_div<int64_t>(s.k, splits), kGemmDepth) * kGemmDepth;
  const int row = threadIdx.x / 16, column = threadIdx.x % 16;
  for (int64_t t = blockIdx.x; t < s.count * splits * down * across; t += gridDim.x) {
    const int64_t j0 = t % across * kGemmTile, i0 = t / across % down * kGemmTile;
    const int64_t part = t / across / down % splits, product = t / across / down / splits;
    const int64_t begin = part * depth, end = begin + depth < s.k ? begin + depth : s.k;
    T sums[kGemmEach][kGemmEach] = {};
    for (int64_t p0 = begin; p0 < end; p0 += kGemmDepth) {
      load_tile<A::kAlongP>(a_tile, i0, s.m, p0, end, [&](int64_t i, int64_t p) { return a.at(product, i, p); });
      load_tile<B::kAlongP>(b_tile, j0, s.n, p0, end, [&](int64_t j, int64_t p) { return b.at(product, j, p); });
      __syncthreads();
#pragma unroll
      for (int p = 0; p < kGemmDepth; ++p) {
        T a_part[kGemmEach], b_part[kGemmEach];
#pragma unroll
        for (int e = 0; e < kGemmEach; ++e) {
          a_part[e] = a_tile[p][row + 16 * e];
          b_part[e] = b_tile[p][column + 16 * e];
        }
#pragma unroll
        for (int r = 0; r < kGemmEach; ++r) {
#pragma unroll
          for (int q = 0; q < kGemmEach; ++q) sums[r][q] += a_part[r] * b_part[q];
        }
      }
      __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < kGemmEach; ++r) {
#pragma unroll
      for (int q = 0; q < kGemmEach; ++q) {
        const int64_t i = i0 + row + 16 * r, j = j0 + column + 16 * q;
        if (i < s.m && j < s.n) c(product * splits + part, i, j, sums[r][q]);
      }
    }
  }
}

template <typename T>
struct StorePartials {
  T* partials;  // (count, splits, m, n)
  int64_t m, n;
  __device__ void operator()(int64_t part, int64_t i, int64_t j, T sum) const {
    partials[(part * m + i) * n + j] = sum;
  }
};

template <typename T, typename C>
__global__ void add_partials(const T* partials, ProductSizes s, int64_t splits, C c) {
  for (int64_t t = grid_thread(); t < s.count * s.m * s.n; t += grid_threads()) {
    const int64_t place = t % (s.m * s.n), product = t / (s.m * s.n);
    T sum = 0;
    for (int64_t part = 0; part < splits; ++part) sum += partials[(product * splits + part) * s.m * s.n + place];
    c(product, place / s.n, place % s.n, sum);
  }
}

// Launches the kernel that T asks for.
template <typename T, typename A, typename B, typename C>
void launch_product(ProductSizes s, int64_t tiles, int64_t splits, A a, B b, C c) {
  const dim3 grid = blocks_for(splits * tiles);
  if constexpr (sizeof(T) == 2) {
    launch<multiply_on_cores<T, A, B, C>>(grid, dim3(kThreads), 0, current_stream(), s, splits, a, b, c);
  } else {
    launch<multiply_tiles<T, A, B, C>>(grid, dim3(kThreads), 0, current_stream(), s, splits, a, b, c);
  }
}

template <typename T, typename A, typename B, typename C>
void multiply(ProductSizes s, A a, B b, C c) {
  if (s.count * s.m * s.n == 0) return;
  const int64_t tiles = tiles_of(s, sizeof(T) == 2 ? kCoreTile : kGemmTile), splits = splits_for(s, tiles);
  if (splits == 1) return launch_product<T>(s, tiles, splits, a, b, c);
  using W = Wide<T>;
  const Workspace partials(static_cast<std::size_t>(s.count * splits * s.m * s.n) * sizeof(W));
  launch_product<T>(s, tiles, splits, a, b, StorePartials<W>{partials.as<W>(), s.m, s.n});
  launch<add_partials<W, C>>(grid_for(s.count * s.m * s.n), dim3(kThreads), 0, current_stream(),
                             static_cast<const W*>(partials.as<W>()), s, splits, c);
}

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier
