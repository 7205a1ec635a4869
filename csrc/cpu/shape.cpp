#include "ops/shape.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// transpose, broadcast_to, concatenate, pad, get_item, and the copies that they share. (take and scatter_add: see
// embedding.cpp.)

// The two axes that a copy runs along at once: `b` innermost in the target, `a` outside it.
struct Block {
  int64_t na, from_a, to_a;
  int64_t nb, from_b, to_b;
};

template <typename T>
void copy_lines(const T* from, T* to, Block s) {
  for (int64_t a = 0; a < s.na; ++a) {
    const T* source = from + a * s.from_a;
    T* target = to + a * s.to_a;
    if (s.from_b == 1 && s.to_b == 1) {
      memcpy(target, source, sizeof(T) * static_cast<size_t>(s.nb));
    } else if (s.from_b == 0 && s.to_b == 1) {
      const T value = *source;
      for (int64_t b = 0; b < s.nb; ++b) target[b] = value;
    } else {
      for (int64_t b = 0; b < s.nb; ++b) target[b * s.to_b] = source[b * s.from_b];
    }
  }
}

// A transpose, where `a` is innermost in the source: square tiles, so that both sides are met a cache line at
// a time.
constexpr int64_t kTile = 16;

template <typename T>
void copy_tiles(const T* from, T* to, Block s) {
  for (int64_t a = 0; a < s.na; a += kTile) {
    for (int64_t b = 0; b < s.nb; b += kTile) {
      const Block tile{min_of(kTile, s.na - a), 1, s.to_a, min_of(kTile, s.nb - b), s.from_b, 1};
      copy_lines(from + a + b * s.from_b, to + a * s.to_a + b, tile);
    }
  }
}

constexpr int64_t kUnit = 16384;  // elements that a thread copies at a time

// `a` is the last axis but one, `b` the last; the others are walked, and both are cut into units.
template <typename T>
void copy_elements(const void* from_bytes, void* to_bytes, const CopyPlan& plan) {
  const T* from = static_cast<const T*>(from_bytes);
  T* to = static_cast<T*>(to_bytes);
  const int b = plan.rank - 1, a = plan.rank - 2;
  const Block whole{plan.shape[a], plan.from[a], plan.to[a], plan.shape[b], plan.from[b], plan.to[b]};
  const bool transposes = whole.from_a == 1 && whole.to_b == 1 && whole.from_b != 1 && whole.from_b != 0;
  const int64_t step_b = min_of(whole.nb, kUnit);
  const int64_t step_a = min_of(whole.na, max_of(transposes ? kTile : 1, kUnit / max_of(1, step_b)));
  const int64_t cuts_a = ceil_div(whole.na, step_a), cuts_b = ceil_div(whole.nb, step_b);
  int64_t outer = 1;
  for (int i = 0; i < a; ++i) outer *= plan.shape[i];
  parallel(0, outer * cuts_a * cuts_b, grain_for(step_a * step_b), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t at_b = unit % cuts_b * step_b, at_a = unit / cuts_b % cuts_a * step_a;
      int64_t place = unit / (cuts_a * cuts_b);
      const T* source = from + at_a * whole.from_a + at_b * whole.from_b;
      T* target = to + at_a * whole.to_a + at_b * whole.to_b;
      for (int i = a - 1; i >= 0; --i) {
        source += place % plan.shape[i] * plan.from[i];
        target += place % plan.shape[i] * plan.to[i];
        place /= plan.shape[i];
      }
      Block part = whole;
      part.na = min_of(step_a, whole.na - at_a);
      part.nb = min_of(step_b, whole.nb - at_b);
      (transposes ? copy_tiles<T> : copy_lines<T>)(source, target, part);
    }
  });
}

void copy(const void* from, void* to, const CopyPlan& plan, int64_t item_size) {
  switch (item_size) {
    case 1: return copy_elements<uint8_t>(from, to, plan);
    case 2: return copy_elements<uint16_t>(from, to, plan);
    case 4: return copy_elements<uint32_t>(from, to, plan);
    default: return copy_elements<uint64_t>(from, to, plan);
  }
}

template <typename T>
void one_hot_of(const int64_t* labels, void* to, int64_t outer, int64_t classes, int64_t inner, const void* one) {
  T* y = static_cast<T*>(to);
  const T mark = *static_cast<const T*>(one);
  parallel(0, outer, grain_for(classes * inner), [&](int64_t begin, int64_t end) {
    memset(y + begin * classes * inner, 0, sizeof(T) * static_cast<size_t>((end - begin) * classes * inner));
    for (int64_t o = begin; o < end; ++o) {
      for (int64_t i = 0; i < inner; ++i) {
        const int64_t label = labels[o * inner + i];
        if (label >= 0 && label < classes) y[(o * classes + label) * inner + i] = mark;
      }
    }
  });
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

}  // namespace RANVIER_ISA
}  // namespace ranvier
