// Sorting pairs (key, index) by key, equal keys by index: Batcher's bitonic network (1968). n/2 log^2 n comparisons in
// an order that the size alone fixes, so the result is the same on every device.
#pragma once

#include "cuda/launch.h"

namespace ranvier {
namespace RANVIER_GPU {

struct alignas(16) KeyedIndex {
  uint64_t key;
  int64_t index;
};

constexpr int kSortTile = 1024;  // pairs that a block sorts in shared memory, 16 KiB

// How many pairs the array must have room for: a power of two, at least a tile.
inline int64_t padded_for_sort(int64_t n) {
  int64_t size = kSortTile;
  while (size < n) size *= 2;
  return size;
}

void sort_keys(KeyedIndex* items, int64_t n);  // sort.cu

}  // namespace RANVIER_GPU
}  // namespace ranvier
