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

// y[i] = x[i], kTimes times each.
template <int kTimes, typename T>
RANVIER_INLINE void repeat_elements(const T* __restrict__ x, T* __restrict__ y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    for (int k = 0; k < kTimes; ++k) y[i * kTimes + k] = x[i];
  }
}

// Lines that are no copies of adjacent elements.
template <typename T>
void copy_lines(const T* from, T* to, Block s) {
  if (s.from_b == 0 && s.to_b == 1 && s.from_a == 1 && s.to_a == s.nb) {
    if (s.nb == 2) return repeat_elements<2>(from, to, s.na);
    if (s.nb == 3) return repeat_elements<3>(from, to, s.na);
    if (s.nb == 4) return repeat_elements<4>(from, to, s.na);
  }
  for (int64_t a = 0; a < s.na; ++a) {
    const T* source = from + a * s.from_a;
    T* target = to + a * s.to_a;
    if (s.from_b == 0 && s.to_b == 1) {
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
//
// AVX-512 moves a part of a vector as fast as all of it: there all tiles are squares.
template <typename T>
struct Square {
  static constexpr int kSide = 0;  // other item sizes: lines only
};

#if defined(__AVX512F__)
constexpr bool kPartialSquares = true;
RANVIER_INLINE __mmask16 first_bits(int64_t n) { return static_cast<__mmask16>((1U << n) - 1); }
RANVIER_INLINE __m512i load_lanes(const uint32_t* p, int64_t n) { return _mm512_maskz_loadu_epi32(first_bits(n), p); }
RANVIER_INLINE __m512i load_lanes(const uint64_t* p, int64_t n) {
  return _mm512_maskz_loadu_epi64(static_cast<__mmask8>(first_bits(n)), p);
}
RANVIER_INLINE void store_lanes(uint32_t* p, __m512i v, int64_t n) { _mm512_mask_storeu_epi32(p, first_bits(n), v); }
RANVIER_INLINE void store_lanes(uint64_t* p, __m512i v, int64_t n) {
  _mm512_mask_storeu_epi64(p, static_cast<__mmask8>(first_bits(n)), v);
}
#else
constexpr bool kPartialSquares = false;
#endif

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

// v[b], lane a -> v[a], lane b.
template <typename T>
RANVIER_INLINE void turn(typename Square<T>::V* v) {
  constexpr int n = Square<T>::kSide;
  typename Square<T>::V next[n];
  for (int half = 1; half < n; half *= 2) {
    for (int i = 0; i < n / 2; ++i) {
      next[2 * i] = Square<T>::first(v[i], v[i + n / 2]);
      next[2 * i + 1] = Square<T>::second(v[i], v[i + n / 2]);
    }
    for (int i = 0; i < n; ++i) v[i] = next[i];
  }
}

template <typename T>
RANVIER_INLINE void transpose_square(const T* from, int64_t from_b, T* to, int64_t to_a) {
  constexpr int n = Square<T>::kSide;
  typename Square<T>::V v[n];
  for (int b = 0; b < n; ++b) memcpy(&v[b], from + b * from_b, sizeof(v[b]));
  turn<T>(v);
  for (int a = 0; a < n; ++a) memcpy(to + a * to_a, &v[a], sizeof(v[a]));
}

#if defined(__AVX512F__)
// na columns of nb rows, fewer than a square has.
template <typename T>
void transpose_part(const T* from, int64_t from_b, T* to, int64_t to_a, int64_t na, int64_t nb) {
  typedef typename Square<T>::V V;
  constexpr int n = Square<T>::kSide;
  V v[n];
  for (int b = 0; b < n; ++b) v[b] = b < nb ? (V)load_lanes(from + b * from_b, na) : V{};
  turn<T>(v);
  for (int a = 0; a < n; ++a) {
    if (a < na) store_lanes(to + a * to_a, (__m512i)v[a], nb);
  }
}
#endif

constexpr int64_t kTile = 16;

template <typename T>
RANVIER_INLINE void copy_tile(const T* from, T* to, Block s) {
  constexpr int64_t n = Square<T>::kSide;
  if constexpr (n > 0) {
    if (s.na == kTile && s.nb == kTile) {
      for (int64_t i = 0; i < kTile; i += n) {
        for (int64_t j = 0; j < kTile; j += n) {
          transpose_square(from + i + j * s.from_b, s.from_b, to + i * s.to_a + j, s.to_a);
        }
      }
      return;
    }
#if defined(__AVX512F__)
    for (int64_t i = 0; i < s.na; i += n) {
      for (int64_t j = 0; j < s.nb; j += n) {
        transpose_part(from + i + j * s.from_b, s.from_b, to + i * s.to_a + j, s.to_a, min_of(n, s.na - i),
                       min_of(n, s.nb - j));
      }
    }
    return;
#endif
  }
  copy_lines(from, to, s);
}

// Where squares are whole or nothing, the last ones reach back to where they are whole.
template <typename T>
void copy_tiles(const T* from, T* to, Block s) {
  const int64_t back_a = kPartialSquares || s.na < kTile ? 0 : kTile - 1;
  const int64_t back_b = kPartialSquares || s.nb < kTile ? 0 : kTile - 1;
  for (int64_t next_a = 0; next_a < s.na; next_a += kTile) {
    const int64_t a = back_a > 0 ? min_of(next_a, s.na - kTile) : next_a;
    for (int64_t next_b = 0; next_b < s.nb; next_b += kTile) {
      const int64_t b = back_b > 0 ? min_of(next_b, s.nb - kTile) : next_b;
      copy_tile(from + a + b * s.from_b, to + a * s.to_a + b,
                {min_of(kTile, s.na - a), 1, s.to_a, min_of(kTile, s.nb - b), s.from_b, 1});
    }
  }
}

constexpr int64_t kFewLines = 4;  // of which tiles would be made of shreds: the channels of an image
constexpr int64_t kFlipped = 8;   // elements of lines that are read backwards one by one
constexpr int64_t kUnit = 16384;  // elements that a thread copies at a time

// How the last two axes are copied.
struct Way {
  bool adjacent;    // lines of `b` as they lie
  bool transposes;  // in tiles
  bool exchanged;   // lines along `a`, which are longer
};

template <typename T>
Way way_of(Block s) {
  const bool crosses = s.from_a == 1 && s.to_b == 1 && s.from_b != 1 && s.from_b != 0;
  const int64_t few = Square<T>::kSide == 0 || kPartialSquares ? kFewLines : kTile - 1;
  Way way{s.from_b == 1 && s.to_b == 1, crosses && s.na > few && s.nb > few, false};
  way.exchanged = !way.transposes &&
                  ((crosses && s.nb <= few && s.nb < s.na) || (s.from_b == -1 && s.nb <= kFlipped && s.nb < s.na));
  return way;
}

// `count` blocks, from_c and to_c apart.
template <typename T>
void copy_blocks(const T* from, T* to, Block s, Way way, int64_t count, int64_t from_c, int64_t to_c) {
  if (way.adjacent) {
    with_copy_of(s.nb * int64_t(sizeof(T)), [&](auto copy) RANVIER_INLINED {
      for (int64_t c = 0; c < count; ++c) {
        const T* source = from + c * from_c;
        T* target = to + c * to_c;
        for (int64_t a = 0; a < s.na; ++a) {
          copy(reinterpret_cast<char*>(target + a * s.to_a), reinterpret_cast<const char*>(source + a * s.from_a));
        }
      }
    });
    return;
  }
  if (way.exchanged) s = {s.nb, s.from_b, s.to_b, s.na, s.from_a, s.to_a};
  for (int64_t c = 0; c < count; ++c) {
    (way.transposes ? copy_tiles<T> : copy_lines<T>)(from + c * from_c, to + c * to_c, s);
  }
}

// `a` is the last axis but one, `b` the last; both are cut into units. Where they are small a unit has many blocks
// along the axis before them, `c`; the others are walked.
template <typename T>
void copy_elements(const void* from_bytes, void* to_bytes, const CopyPlan& plan) {
  const T* from = static_cast<const T*>(from_bytes);
  T* to = static_cast<T*>(to_bytes);
  const int b = plan.rank - 1, a = plan.rank - 2, c = plan.rank - 3;
  const Block whole{plan.shape[a], plan.from[a], plan.to[a], plan.shape[b], plan.from[b], plan.to[b]};
  const Way way = way_of<T>(whole);
  const int64_t blocks = c < 0 ? 1 : plan.shape[c], from_c = c < 0 ? 0 : plan.from[c], to_c = c < 0 ? 0 : plan.to[c];
  const int64_t step_b = min_of(whole.nb, kUnit), rows = kUnit / step_b;
  const int64_t step_a = min_of(whole.na, way.transposes ? ceil_div(rows, kTile) * kTile : max_of(1, rows));
  const int64_t step_c = min_of(blocks, max_of(1, kUnit / (whole.na * whole.nb)));
  const int64_t cuts_a = ceil_div(whole.na, step_a), cuts_b = ceil_div(whole.nb, step_b);
  const int64_t cuts_c = ceil_div(blocks, step_c);
  int64_t outer = cuts_c;
  for (int i = 0; i < c; ++i) outer *= plan.shape[i];
  parallel(0, outer * cuts_a * cuts_b, grain_for(step_a * step_b * step_c), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t at_b = unit % cuts_b * step_b, at_a = unit / cuts_b % cuts_a * step_a;
      int64_t place = unit / (cuts_a * cuts_b);
      const int64_t at_c = place % cuts_c * step_c;
      place /= cuts_c;
      const T* source = from + at_a * whole.from_a + at_b * whole.from_b + at_c * from_c;
      T* target = to + at_a * whole.to_a + at_b * whole.to_b + at_c * to_c;
      for (int i = c - 1; i >= 0; --i) {
        source += place % plan.shape[i] * plan.from[i];
        target += place % plan.shape[i] * plan.to[i];
        place /= plan.shape[i];
      }
      Block part = whole;
      part.na = min_of(step_a, whole.na - at_a);
      part.nb = min_of(step_b, whole.nb - at_b);
      copy_blocks(source, target, part, way, min_of(step_c, blocks - at_c), from_c, to_c);
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
