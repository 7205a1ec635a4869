// where, and sum_to_shape.
#include "cpu/elementwise/walk.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Only the size of an element matters: T is an unsigned integer of that size.
template <typename T>
void where(const bool* condition, const void* a, const void* b, void* y, const Broadcast& shape) {
  const int last = shape.axes - 1;
  const int64_t sc = shape.strides[0][last], sa = shape.strides[1][last], sb = shape.strides[2][last];
  each_run(shape, [&](const int64_t* offsets, int64_t out, int64_t count) {
    const bool* c = condition + offsets[0];
    const T* p = static_cast<const T*>(a) + offsets[1];
    const T* q = static_cast<const T*>(b) + offsets[2];
    T* r = static_cast<T*>(y) + out;
    if (sc == 1 && sa == 1 && sb == 1) {
      for (int64_t i = 0; i < count; ++i) r[i] = c[i] ? p[i] : q[i];
    } else {
      for (int64_t i = 0; i < count; ++i) r[i] = c[i * sc] ? p[i * sa] : q[i * sb];
    }
  });
}

// Sum of contiguous elements: vectors of partial sums, then a tree over lanes; its order follows from n.
template <typename T>
T sum_run(const T* x, int64_t n) {
  Vec<T> total[4] = {};
  int64_t i = 0;
  for (; i + 4 * kWidth<T> <= n; i += 4 * kWidth<T>) {
    for (int k = 0; k < 4; ++k) total[k] += load(x + i + k * kWidth<T>);
  }
  for (; i < n; i += kWidth<T>) total[0] += load_partial(x + i, min_of(kWidth<T>, n - i));
  return sum_lanes<T>((total[0] + total[1]) + (total[2] + total[3]));
}

// One thread walks x in order: the order of every sum follows from the shape.
template <typename T>
void sum_to_shape(const void* x, void* y, const Broadcast& shape) {
  constexpr int64_t kBlock = 4096;  // long rows are summed in blocks, which keeps rounding errors short
  const T* from = static_cast<const T*>(x);
  T* to = static_cast<T*>(y);
  const int last = shape.axes - 1;
  const int64_t inner = shape.sizes[last];
  RowWalk walk(shape, 0);
  for (int64_t at = 0; at < shape.size; at += inner, walk.next()) {
    T* target = to + walk.offsets[0];
    if (shape.strides[0][last] == 1) {
      for (int64_t i = 0; i < inner; ++i) target[i] += from[at + i];
      continue;
    }
    T total = 0;
    for (int64_t i = 0; i < inner; i += kBlock) total += sum_run(from + at + i, min_of(kBlock, inner - i));
    *target += total;
  }
}

}  // namespace

void elementwise_where(size_t item, const bool* condition, const void* a, const void* b, void* y,
                       const Broadcast& shape) {
  switch (item) {
    case 1: return where<uint8_t>(condition, a, b, y, shape);
    case 2: return where<uint16_t>(condition, a, b, y, shape);
    case 4: return where<uint32_t>(condition, a, b, y, shape);
    default: return where<uint64_t>(condition, a, b, y, shape);
  }
}

void elementwise_sum_to_shape(DType dtype, const void* x, void* y, const Broadcast& shape) {
  if (dtype == DType::Float32) return sum_to_shape<float>(x, y, shape);
  sum_to_shape<double>(x, y, shape);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
