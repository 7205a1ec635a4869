#include "ops/shape.h"

#include "cpu/row.h"

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

// y[i * kTo] = x[i * kFrom]: constant steps become shuffles.
template <int kFrom, int kTo, typename T>
RANVIER_INLINE void copy_strided(const T* __restrict__ x, T* __restrict__ y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i * kTo] = x[i * kFrom];
}

template <typename T>
RANVIER_INLINE void copy_line(const T* from, T* to, int64_t n, int64_t from_step, int64_t to_step) {
  if (to_step == 1) {
    switch (from_step) {
      case 2: return copy_strided<2, 1>(from, to, n);
      case 3: return copy_strided<3, 1>(from, to, n);
      case 4: return copy_strided<4, 1>(from, to, n);
      case -1: return copy_strided<-1, 1>(from, to, n);
      default: break;
    }
  }
  if (from_step == 1) {
    switch (to_step) {
      case 2: return copy_strided<1, 2>(from, to, n);
      case 3: return copy_strided<1, 3>(from, to, n);
      case 4: return copy_strided<1, 4>(from, to, n);
      default: break;
    }
  }
  for (int64_t i = 0; i < n; ++i) to[i * to_step] = from[i * from_step];
}

template <typename T>
void copy_lines(const T* from, T* to, Block s) {
  const int64_t bytes = int64_t(sizeof(T)) * s.nb;
  const bool adjacent = s.from_b == 1 && s.to_b == 1, repeated = s.from_b == 0 && s.to_b == 1;
  for (int64_t a = 0; a < s.na; ++a) {
    const T* source = from + a * s.from_a;
    T* target = to + a * s.to_a;
    if (adjacent && bytes <= kShortBytes) {
      copy_short(reinterpret_cast<char*>(target), reinterpret_cast<const char*>(source), bytes);
    } else if (adjacent) {
      memcpy(target, source, static_cast<size_t>(bytes));
    } else if (repeated) {
      const T value = *source;
      for (int64_t b = 0; b < s.nb; ++b) target[b] = value;
    } else {
      copy_line(source, target, s.nb, s.from_b, s.to_b);
    }
  }
}

// A transpose, where `a` is innermost in the source: square tiles, so that both sides are met a cache line at
// a time, and where a tile fills n vectors of n lanes, within registers.
//
// Interleaving the lanes of vector i with those of vector i + n/2, for all i, turns the bits of an element's place
// (vector, lane) round by one; log2 n times, and vector and lane have changed places.
template <typename T>
struct Square {
  static constexpr int kSide = 0;  // other item sizes: lines only
};

#if defined(__GNUC__) && !defined(__clang__)
#define RANVIER_SQUARE(T, n, low, high)                                                   \
  template <>                                                                             \
  struct Square<T> {                                                                      \
    static constexpr int kSide = n;                                                       \
    typedef T V __attribute__((vector_size(kVectorBytes)));                               \
    static RANVIER_INLINE V first(V a, V b) { return __builtin_shuffle(a, b, V{low}); }   \
    static RANVIER_INLINE V second(V a, V b) { return __builtin_shuffle(a, b, V{high}); } \
  }
#define RANVIER_LANES(...) __VA_ARGS__
#if defined(__AVX512F__)
RANVIER_SQUARE(uint32_t, 16, RANVIER_LANES(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
               RANVIER_LANES(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
RANVIER_SQUARE(uint64_t, 8, RANVIER_LANES(0, 8, 1, 9, 2, 10, 3, 11), RANVIER_LANES(4, 12, 5, 13, 6, 14, 7, 15));
#elif defined(__AVX2__)
RANVIER_SQUARE(uint32_t, 8, RANVIER_LANES(0, 8, 1, 9, 2, 10, 3, 11), RANVIER_LANES(4, 12, 5, 13, 6, 14, 7, 15));
RANVIER_SQUARE(uint64_t, 4, RANVIER_LANES(0, 4, 1, 5), RANVIER_LANES(2, 6, 3, 7));
#else
RANVIER_SQUARE(uint32_t, 4, RANVIER_LANES(0, 4, 1, 5), RANVIER_LANES(2, 6, 3, 7));
RANVIER_SQUARE(uint64_t, 2, RANVIER_LANES(0, 2), RANVIER_LANES(1, 3));
#endif
#undef RANVIER_LANES
#undef RANVIER_SQUARE
#endif

template <typename T>
RANVIER_INLINE void transpose_square(const T* from, int64_t from_b, T* to, int64_t to_a) {
  constexpr int n = Square<T>::kSide;
  typedef typename Square<T>::V V;
  V v[n], next[n];
  for (int b = 0; b < n; ++b) memcpy(&v[b], from + b * from_b, sizeof(V));
  for (int half = 1; half < n; half *= 2) {
    for (int i = 0; i < n / 2; ++i) {
      next[2 * i] = Square<T>::first(v[i], v[i + n / 2]);
      next[2 * i + 1] = Square<T>::second(v[i], v[i + n / 2]);
    }
    for (int i = 0; i < n; ++i) v[i] = next[i];
  }
  for (int a = 0; a < n; ++a) memcpy(to + a * to_a, &v[a], sizeof(V));
}

constexpr int64_t kTile = 16;

template <typename T>
void copy_tiles(const T* from, T* to, Block s) {
  constexpr int64_t n = Square<T>::kSide;
  for (int64_t a = 0; a < s.na; a += kTile) {
    for (int64_t b = 0; b < s.nb; b += kTile) {
      const Block tile{min_of(kTile, s.na - a), 1, s.to_a, min_of(kTile, s.nb - b), s.from_b, 1};
      const T* source = from + a + b * s.from_b;
      T* target = to + a * s.to_a + b;
      if constexpr (n > 0) {
        if (tile.na == kTile && tile.nb == kTile) {
          for (int64_t i = 0; i < kTile; i += n) {
            for (int64_t j = 0; j < kTile; j += n) {
              transpose_square(source + i + j * s.from_b, s.from_b, target + i * s.to_a + j, s.to_a);
            }
          }
          continue;
        }
      }
      copy_lines(source, target, tile);
    }
  }
}

constexpr int64_t kFewLines = 4;  // of which tiles would be made of shreds: the channels of an image
constexpr int64_t kUnit = 16384;  // elements that a thread copies at a time

// `a` is the last axis but one, `b` the last; the others are walked, and both are cut into units.
template <typename T>
void copy_elements(const void* from_bytes, void* to_bytes, const CopyPlan& plan) {
  const T* from = static_cast<const T*>(from_bytes);
  T* to = static_cast<T*>(to_bytes);
  const int b = plan.rank - 1, a = plan.rank - 2;
  const Block whole{plan.shape[a], plan.from[a], plan.to[a], plan.shape[b], plan.from[b], plan.to[b]};
  const bool crosses = whole.from_a == 1 && whole.to_b == 1 && whole.from_b != 1 && whole.from_b != 0;
  const bool transposes = crosses && whole.na > kFewLines && whole.nb > kFewLines;
  const bool exchanged = crosses && whole.nb <= kFewLines;  // lines along `a`, which are longer
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
      if (exchanged) part = {part.nb, part.from_b, part.to_b, part.na, part.from_a, part.to_a};
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
  T mark{};
  memcpy(&mark, one, sizeof(mark));
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
