// Rows of a table by their numbers (embedding, take), and the sums of what falls on each row (embedding's gradient,
// scatter_add).
#include "ops/embedding.h"

#include "cuda/launch.h"
#include "cuda/numbers.h"
#include "cuda/sort.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

template <typename T>
__global__ void gather_rows(const T* x, const int64_t* indices, T* y, TableShape s) {
  for (int64_t i = grid_thread(); i < s.outer * s.count * s.width; i += grid_threads()) {
    const int64_t column = i % s.width, j = i / s.width % s.count, o = i / s.width / s.count;
    y[i] = x[(o * s.rows + indices[j]) * s.width + column];
  }
}

template <typename T>
void gather_of(const void* x, const int64_t* indices, void* y, TableShape s) {
  if (s.outer * s.count * s.width == 0) return;
  launch<gather_rows<T>>(grid_for(s.outer * s.count * s.width), dim3(kThreads), 0, current_stream(),
                         static_cast<const T*>(x), indices, static_cast<T*>(y), s);
}

void gather(const void* x, const int64_t* indices, void* y, TableShape shape, int64_t item_size) {
  switch (item_size) {
    case 1: return gather_of<uint8_t>(x, indices, y, shape);
    case 2: return gather_of<uint16_t>(x, indices, y, shape);
    case 4: return gather_of<uint32_t>(x, indices, y, shape);
    default: return gather_of<uint64_t>(x, indices, y, shape);
  }
}

// --- scatter_add: no atomics, whose order would change from run to run. The indices are sorted (equal ones stay in
// order), and whoever finds the first of equal ones adds up all of them, in the order of the indices. ---

__global__ void as_keys(const int64_t* indices, KeyedIndex* items, int64_t count) {
  for (int64_t j = grid_thread(); j < count; j += grid_threads()) items[j] = {uint64_t(indices[j]), j};
}

// A thread for each place in the sorted order and column; neighbouring lanes are neighbouring columns.
template <typename T>
__global__ void add_runs(const T* updates, const KeyedIndex* items, T* y, TableShape s) {
  for (int64_t i = grid_thread(); i < s.outer * s.count * s.width; i += grid_threads()) {
    const int64_t column = i % s.width, place = i / s.width % s.count, o = i / s.width / s.count;
    const uint64_t row = items[place].key;
    if (place > 0 && items[place - 1].key == row) continue;  // in the run of another
    const int64_t at = (o * s.rows + int64_t(row)) * s.width + column;
    T sum = y[at];
    for (int64_t p = place; p < s.count && items[p].key == row; ++p) {
      sum = T(sum + updates[(o * s.count + items[p].index) * s.width + column]);
    }
    y[at] = sum;
  }
}

template <typename T>
void scatter_add_of(const void* updates, const int64_t* indices, void* y, TableShape s) {
  const Workspace sorted(static_cast<std::size_t>(padded_for_sort(s.count)) * sizeof(KeyedIndex));
  KeyedIndex* items = sorted.as<KeyedIndex>();
  launch<as_keys>(grid_for(s.count), dim3(kThreads), 0, current_stream(), indices, items, s.count);
  sort_keys(items, s.count);
  launch<add_runs<T>>(grid_for(s.outer * s.count * s.width), dim3(kThreads), 0, current_stream(),
                      static_cast<const T*>(updates), static_cast<const KeyedIndex*>(items), static_cast<T*>(y), s);
}

void scatter_add(DType dtype, const void* updates, const int64_t* indices, void* y, TableShape s) {
  if (s.outer == 0 || s.rows == 0 || s.count == 0 || s.width == 0) return;
  switch (dtype) {
    case DType::Float32: return scatter_add_of<float>(updates, indices, y, s);
    case DType::Float64: return scatter_add_of<double>(updates, indices, y, s);
    case DType::Int32: return scatter_add_of<uint32_t>(updates, indices, y, s);  // unsigned: wraps
    case DType::Int64: return scatter_add_of<uint64_t>(updates, indices, y, s);
    default: return scatter_add_of<uint8_t>(updates, indices, y, s);
  }
}

// --- indices: whether all are in range, and negative ones counted from the end ---

typedef unsigned long long Word;  // what CUDA's 64-bit atomics take

// The least of all positions is the same whoever comes first.
template <typename I>
__global__ void find_outside(const I* given, int64_t count, int64_t lowest, int64_t highest, Word* first) {
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    if (given[i] >= lowest && given[i] <= highest) continue;
    atomicMin(first, Word(i));
    return;  // what this thread would meet later lies behind
  }
}

template <typename I>
int64_t first_outside_of(const void* integers, int64_t count, int64_t lowest, int64_t highest) {
  if (count == 0) return 0;
  Word first = Word(count);
  const Workspace found(&first, sizeof(first));
  launch<find_outside<I>>(grid_for(count), dim3(kThreads), 0, current_stream(), static_cast<const I*>(integers), count,
                          lowest, highest, found.as<Word>());
  found.to_host(&first, sizeof(first));
  return int64_t(first);
}

int64_t first_outside(DType dtype, const void* integers, int64_t count, int64_t lowest, int64_t highest) {
  if (dtype == DType::Int64) return first_outside_of<int64_t>(integers, count, lowest, highest);
  return first_outside_of<int32_t>(integers, count, lowest, highest);
}

__global__ void wrap_around(const int64_t* given, int64_t count, int64_t rows, int64_t* wrapped) {
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    wrapped[i] = given[i] < 0 ? given[i] + rows : given[i];
  }
}

void wrap(const int64_t* given, int64_t count, int64_t rows, int64_t* wrapped) {
  if (count == 0) return;
  launch<wrap_around>(grid_for(count), dim3(kThreads), 0, current_stream(), given, count, rows, wrapped);
}

}  // namespace

extern const EmbeddingKernels embedding_kernels;
const EmbeddingKernels embedding_kernels = {gather, scatter_add, first_outside, wrap};

}  // namespace RANVIER_GPU
}  // namespace ranvier
