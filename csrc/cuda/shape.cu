// transpose, broadcast_to, concatenate, pad, get_item: one strided copy; and one_hot. (take and scatter_add: see
// embedding.cu.)
#include "ops/shape.h"

#include "cuda/launch.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// Only the size of an element matters: T is an unsigned integer of that size. Element i of the copy, counted with the
// last axis fastest; the op gives axes in the order in which the target lies.
template <typename T>
__global__ void copy_strided(const T* from, T* to, const __grid_constant__ CopyPlan plan, int64_t count) {
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    int64_t left = i, source = 0, target = 0;
    for (int axis = plan.rank - 1; axis >= 0; --axis) {
      const int64_t whole = left / plan.shape[axis], index = left - whole * plan.shape[axis];
      source += index * plan.from[axis];
      target += index * plan.to[axis];
      left = whole;
    }
    to[target] = from[source];
  }
}

// A matrix (or a batch) turned around: from (rows, columns) to (columns, rows). Read along rows of the one and written
// along rows of the other, 4 sectors for 32 floats both ways; the corner is turned in shared memory. A column of a
// 32 x 32 tile of floats would lie in one bank, 32 wavefronts to read it; with rows of 33 each row starts one bank
// later, and a column takes 1.
constexpr int kTile = 32, kTileRows = 8;

struct Turn {
  int64_t batch, rows, columns;
  int64_t from_batch, from_row;  // strides
  int64_t to_batch, to_row;
};

template <typename T>
__global__ void __launch_bounds__(kTile* kTileRows) copy_turned(const T* from, T* to, Turn turn) {
  __shared__ T tile[kTile][kTile + 1];
  const int x = threadIdx.x, y = threadIdx.y;
  const int64_t across = ceil_div<int64_t>(turn.columns, kTile), down = ceil_div<int64_t>(turn.rows, kTile);
  for (int64_t b = blockIdx.x; b < turn.batch * across * down; b += gridDim.x) {
    const int64_t batch = b / (across * down), row0 = b / across % down * kTile, column0 = b % across * kTile;
    const T* source = from + batch * turn.from_batch;
    T* target = to + batch * turn.to_batch;
    for (int e = y; e < kTile; e += kTileRows) {
      if (row0 + e < turn.rows && column0 + x < turn.columns) {
        tile[e][x] = source[(row0 + e) * turn.from_row + column0 + x];
      }
    }
    __syncthreads();
    for (int e = y; e < kTile; e += kTileRows) {
      if (column0 + e < turn.columns && row0 + x < turn.rows) {
        target[(column0 + e) * turn.to_row + row0 + x] = tile[x][e];
      }
    }
    __syncthreads();
  }
}

// Whether the copy turns a matrix: target along its last axis, source along the one before.
bool turns(const CopyPlan& plan, Turn& turn) {
  if (plan.rank < 2 || plan.rank > 3) return false;
  const int last = plan.rank - 1, before = plan.rank - 2;
  if (plan.to[last] != 1 || plan.from[before] != 1 || plan.from[last] <= 1) return false;
  if (plan.shape[last] < 8 || plan.shape[before] < 8) return false;
  const bool batched = plan.rank == 3;
  turn = {
      batched ? plan.shape[0] : 1, plan.shape[last], plan.shape[before], batched ? plan.from[0] : 0, plan.from[last],
      batched ? plan.to[0] : 0,    plan.to[before]};
  return true;
}

template <typename T>
void copy_of(const void* from, void* to, const CopyPlan& plan) {
  int64_t count = 1;
  for (int axis = 0; axis < plan.rank; ++axis) count *= plan.shape[axis];
  if (count == 0) return;
  const T* source = static_cast<const T*>(from);
  T* target = static_cast<T*>(to);
  Turn turn{};
  if (turns(plan, turn)) {
    const int64_t tiles = ceil_div<int64_t>(turn.rows, kTile) * ceil_div<int64_t>(turn.columns, kTile);
    launch<copy_turned<T>>(blocks_for(turn.batch * tiles), dim3(kTile, kTileRows), 0, current_stream(), source, target,
                           turn);
  } else {
    launch<copy_strided<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), source, target, plan, count);
  }
}

void copy(const void* from, void* to, const CopyPlan& plan, int64_t item_size) {
  switch (item_size) {
    case 1: return copy_of<uint8_t>(from, to, plan);
    case 2: return copy_of<uint16_t>(from, to, plan);
    case 4: return copy_of<uint32_t>(from, to, plan);
    default: return copy_of<uint64_t>(from, to, plan);
  }
}

template <typename T>
__global__ void mark_classes(const int64_t* labels, T* y, int64_t outer, int64_t classes, int64_t inner, T one) {
  for (int64_t i = grid_thread(); i < outer * classes * inner; i += grid_threads()) {
    const int64_t at = i % inner, wanted = i / inner % classes, o = i / inner / classes;
    y[i] = labels[o * inner + at] == wanted ? one : T(0);
  }
}

template <typename T>
void one_hot_of(const int64_t* labels, void* y, int64_t outer, int64_t classes, int64_t inner, const void* one) {
  if (outer * classes * inner == 0) return;
  launch<mark_classes<T>>(grid_for(outer * classes * inner), dim3(kThreads), 0, current_stream(), labels,
                          static_cast<T*>(y), outer, classes, inner, *static_cast<const T*>(one));
}

void one_hot(const int64_t* labels, void* y, int64_t outer, int64_t classes, int64_t inner, int64_t item_size,
             const void* one) {
  switch (item_size) {
    case 1: return one_hot_of<uint8_t>(labels, y, outer, classes, inner, one);
    case 2: return one_hot_of<uint16_t>(labels, y, outer, classes, inner, one);
    case 4: return one_hot_of<uint32_t>(labels, y, outer, classes, inner, one);
    default: return one_hot_of<uint64_t>(labels, y, outer, classes, inner, one);
  }
}

}  // namespace

extern const ShapeKernels shape_kernels;
const ShapeKernels shape_kernels = {copy, one_hot};

}  // namespace RANVIER_GPU
}  // namespace ranvier
