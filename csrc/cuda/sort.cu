#include "cuda/sort.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

__device__ bool before(const KeyedIndex& a, const KeyedIndex& b) {
  return a.key < b.key || (a.key == b.key && a.index < b.index);
}

// Puts items a and b (a before b in memory) into the wanted order.
__device__ void exchange(KeyedIndex* items, int64_t a, int64_t b, bool upwards) {
  const KeyedIndex first = items[a], second = items[b];
  if (before(second, first) == upwards) items[a] = second, items[b] = first;
}

__global__ void pad(KeyedIndex* items, int64_t n, int64_t size) {
  const int64_t i = n + grid_thread();
  if (i < size) items[i] = {~uint64_t{0}, i};  // behind all others
}

// All stages up to runs of a tile, or (last > tile) the end of a stage of longer runs: its distances below a tile. Lane
// t compares pairs at distance d: t + d and the one it starts from lie 16 bytes apart from those of its neighbours, so
// that a quarter of a warp touches 128 bytes in a row, without bank conflicts.
__global__ void __launch_bounds__(kSortTile / 2) sort_tiles(KeyedIndex* items, int64_t first_run, int64_t last_run) {
  __shared__ KeyedIndex tile[kSortTile];
  const int t = threadIdx.x;
  KeyedIndex* own = items + int64_t(blockIdx.x) * kSortTile;
  tile[t] = own[t];
  tile[t + kSortTile / 2] = own[t + kSortTile / 2];
  for (int64_t run = first_run; run <= last_run; run *= 2) {
    for (int distance = int(run < kSortTile ? run : kSortTile) / 2; distance > 0; distance /= 2) {
      __syncthreads();
      const int a = 2 * t - (t & (distance - 1));
      const bool upwards = ((int64_t(blockIdx.x) * kSortTile + a) & run) == 0;
      exchange(tile, a, a + distance, upwards);
    }
  }
  __syncthreads();
  own[t] = tile[t];
  own[t + kSortTile / 2] = tile[t + kSortTile / 2];
}

__global__ void sort_far(KeyedIndex* items, int64_t run, int64_t distance) {
  const int64_t t = grid_thread();
  const int64_t a = 2 * t - (t & (distance - 1));
  exchange(items, a, a + distance, (a & run) == 0);
}

}  // namespace

void sort_keys(KeyedIndex* items, int64_t n) {
  const int64_t size = padded_for_sort(n);
  void* stream = current_stream();
  const dim3 tiles(static_cast<unsigned>(size / kSortTile)), tile_threads(kSortTile / 2);
  if (size > n) {
    launch<pad>(dim3(static_cast<unsigned>(ceil_div<int64_t>(size - n, kThreads))), dim3(kThreads), 0, stream, items, n,
                size);
  }
  launch<sort_tiles>(tiles, tile_threads, 0, stream, items, int64_t(2), int64_t(kSortTile));
  for (int64_t run = 2 * kSortTile; run <= size; run *= 2) {
    for (int64_t distance = run / 2; distance >= kSortTile; distance /= 2) {
      launch<sort_far>(dim3(static_cast<unsigned>(size / 2 / kThreads)), dim3(kThreads), 0, stream, items, run,
                       distance);
    }
    launch<sort_tiles>(tiles, tile_threads, 0, stream, items, run, run);
  }
}

}  // namespace RANVIER_GPU
}  // namespace ranvier
