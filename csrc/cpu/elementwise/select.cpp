// where.
#include "cpu/elementwise/walk.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Without a branch, so that the loop becomes vectors. kA and kB: whether a and b move.
template <bool kA, bool kB, typename T>
void where_run(const bool* condition, const T* a, const T* b, T* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const T chosen = T(0) - T(condition[i]);  // all bits, or none
    y[i] = T((a[kA ? i : 0] & chosen) | (b[kB ? i : 0] & ~chosen));
  }
}

// Only the size of an element matters: T is an unsigned integer of that size.
template <typename T>
void where(const bool* condition, const void* a, const void* b, void* y, const Broadcast& shape) {
  const int last = shape.axes - 1;
  const int64_t sc = shape.strides[0][last], sa = shape.strides[1][last], sb = shape.strides[2][last];
  const auto moving = sa == 0 ? (sb == 0 ? where_run<false, false, T> : where_run<false, true, T>)
                              : (sb == 0 ? where_run<true, false, T> : where_run<true, true, T>);
  each_run(shape, [&](const int64_t* offsets, int64_t out, int64_t count) {
    const bool* c = condition + offsets[0];
    const T* p = static_cast<const T*>(a) + offsets[1];
    const T* q = static_cast<const T*>(b) + offsets[2];
    T* r = static_cast<T*>(y) + out;
    if (sc == 1) return moving(c, p, q, r, count);
    const T* chosen = *c ? p : q;  // one condition for the run
    const int64_t step = *c ? sa : sb;
    for (int64_t i = 0; i < count; ++i) r[i] = chosen[i * step];
  });
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

}  // namespace RANVIER_ISA
}  // namespace ranvier
