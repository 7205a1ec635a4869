#include "cpu/pool2d/window.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

#if defined(__AVX2__)
constexpr bool kShuffles = true;
#else
constexpr bool kShuffles = false;  // no instruction takes lanes from where another vector says
#endif

template <typename T, typename Index>
RANVIER_INLINE auto narrowed(IntVec<T> places) {
  return __builtin_convertvector(places, typename Places<T, Index>::Vector);
}
#if defined(__AVX2__) && !defined(__AVX512F__)  // no instruction does it, and the compiler takes lane by lane
template <>
RANVIER_INLINE auto narrowed<float, uint8_t>(IntVec<float> places) {
  const __m256i v = (__m256i)places;
  const __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i bytes = _mm_packus_epi16(half, half);
  Places<float, uint8_t>::Vector narrow;
  memcpy(&narrow, &bytes, sizeof(narrow));
  return narrow;
}
#endif

template <typename T, typename Index>
RANVIER_INLINE void store_places(Index* p, IntVec<T> places, int64_t n) {
  const auto narrow = narrowed<T, Index>(places);
  if (n == kWidth<T>) {
    memcpy(p, &narrow, sizeof(narrow));
  } else {
    memcpy(p, &narrow, sizeof(Index) * n);
  }
}

// Lanes in which the candidate is greater than a value that is no NaN, or NaN itself.
template <typename T>
RANVIER_INLINE IntVec<T> is_better(Vec<T> candidate, Vec<T> value) {
  return ~(candidate <= value) & (value == value);
}
#if defined(__AVX2__) && !defined(__AVX512F__)  // the comparison that ~(a <= b) is
template <>
RANVIER_INLINE IntVec<float> is_better<float>(Vec<float> candidate, Vec<float> value) {
  return (IntVec<float>)_mm256_cmp_ps((__m256)candidate, (__m256)value, _CMP_NLE_UQ) & (value == value);
}
template <>
RANVIER_INLINE IntVec<double> is_better<double>(Vec<double> candidate, Vec<double> value) {
  return (IntVec<double>)_mm256_cmp_pd((__m256d)candidate, (__m256d)value, _CMP_NLE_UQ) & (value == value);
}
#endif

// The larger of two candidates, and its place: the earlier one unless the later is greater, or the first NaN.
template <typename T, bool kKeep>
struct Best {
  Vec<T> value;
  IntVec<T> place;

  RANVIER_INLINE void meet(Vec<T> candidate, IntVec<T> its_place) {
    const IntVec<T> better = is_better<T>(candidate, value);
    value = select(better, candidate, value);
    if (kKeep) place = better ? its_place : place;
  }
};

template <typename T>
RANVIER_INLINE IntVec<T> place_of(int64_t tap) {
  return IntVec<T>{} + static_cast<typename VecTypes<T>::Scalar>(tap);
}

// The best of the taps of a window, for kVectors vectors of channels.
template <typename T, bool kKeep, int kVectors>
RANVIER_INLINE void best_of(const T* from, const int64_t* offsets, int64_t taps, int64_t left, int64_t ahead,
                            Best<T, kKeep>* best) {
  if (ahead > 0) {
    for (int64_t tap = 0; tap < taps; ++tap) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        if (v * kVectorBytes % 64 == 0) __builtin_prefetch(from + offsets[tap] + ahead + v * kWidth<T>);
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    best[v].value = load_some(from + offsets[0] + v * kWidth<T>, left);
    best[v].place = place_of<T>(0);
  }
  for (int64_t tap = 1; tap < taps; ++tap) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      best[v].meet(load_some(from + offsets[tap] + v * kWidth<T>, left), place_of<T>(tap));
    }
  }
}

constexpr int64_t kManyTaps = 16;  // from here on several chains hide the comparisons' latency

// The same in four chains, of a quarter of the taps each, where channels are few.
template <typename T, bool kKeep, int kVectors>
RANVIER_INLINE void best_of_many(const T* from, const int64_t* offsets, int64_t taps, int64_t left,
                                 Best<T, kKeep>* best) {
  constexpr int kChains = 4 / kVectors;
  Best<T, kKeep> chain[kChains][kVectors];
  const int64_t each = taps / kChains;
#pragma GCC unroll 4
  for (int k = 0; k < kChains; ++k) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      chain[k][v].value = load_some(from + offsets[k * each] + v * kWidth<T>, left);
      chain[k][v].place = place_of<T>(k * each);
    }
  }
  for (int64_t i = 1; i < each; ++i) {
#pragma GCC unroll 4
    for (int k = 0; k < kChains; ++k) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        chain[k][v].meet(load_some(from + offsets[k * each + i] + v * kWidth<T>, left), place_of<T>(k * each + i));
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    best[v] = chain[0][v];
#pragma GCC unroll 4
    for (int k = 1; k < kChains; ++k) best[v].meet(chain[k][v].value, chain[k][v].place);
    for (int64_t tap = kChains * each; tap < taps; ++tap) {
      best[v].meet(load_some(from + offsets[tap] + v * kWidth<T>, left), place_of<T>(tap));
    }
  }
}

// The same for a vector of outputs of one channel.
template <typename T, bool kKeep>
RANVIER_INLINE Best<T, kKeep> best_side_by_side(const T* from, int64_t step, int64_t n, const int64_t* offsets,
                                                int64_t taps) {
  Best<T, kKeep> best{spaced(from + offsets[0], step, n), IntVec<T>{}};
  for (int64_t tap = 1; tap < taps; ++tap) best.meet(spaced(from + offsets[tap], step, n), place_of<T>(tap));
  return best;
}

// kTaps: 4 for windows of 2x2, else 0. A window that reaches beyond the image is met tap by tap.
template <typename T, typename Index, bool kKeep, int kTaps>
void max_forward_taps(const T* x, T* y, Index* places, const Pool2dShape& s) {
  const WindowAxis &h = s.window.height, &w = s.window.width;
  const int64_t taps = kTaps > 0 ? kTaps : h.window * w.window;
  const Walk walk = forward_walk(x, y, s);
  const auto keep = [&](const auto& best, int64_t out, int64_t left) RANVIER_INLINED {
    put(y + out, best.value, left, walk.past_the_caches);
    if (kKeep) store_places<T>(places + out, best.place, left);
  };
  const auto whole = [&](int64_t image, int64_t p, int64_t q, int64_t end, const int64_t* offsets) RANVIER_INLINED {
    const auto corner_of = [&](int64_t column) RANVIER_INLINED {
      return x + input_at(s, image, p * h.stride - h.before, column * w.stride - w.before);
    };
    if (s.channels == 1) {
      const int64_t first = side_by_side<T>(s, q, end), n = min_of(kWidth<T>, end - first);
      keep(best_side_by_side<T, kKeep>(corner_of(first), w.stride, n, offsets, taps), output_at(s, image, p, first), n);
      return first + n - q;
    }
    const T* corner = corner_of(q);
    const int64_t out = output_at(s, image, p, q);
    each_channels<T>(s.channels, [&](auto count, int64_t c, int64_t left) RANVIER_INLINED {
      constexpr int kVectors = decltype(count)::value;
      Best<T, kKeep> best[kVectors];
      if (kTaps == 0 && taps >= kManyTaps) {
        best_of_many<T, kKeep, kVectors>(corner + c, offsets, taps, left, best);
      } else {
        best_of<T, kKeep, kVectors>(corner + c, offsets, taps, left, walk.ahead, best);
      }
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) keep(best[v], out + c + v * kWidth<T>, left);
    });
    return int64_t{1};
  };
  const auto part = [&](int64_t image, int64_t p, int64_t q, Span rows, Span columns) {
    const int64_t out = output_at(s, image, p, q);
    for (int64_t c = 0; c < s.channels; c += kWidth<T>) {
      const int64_t left = min_of(kWidth<T>, s.channels - c);
      Best<T, kKeep> best{};
      for (int64_t i = rows.begin; i < rows.end; ++i) {
        for (int64_t j = columns.begin; j < columns.end; ++j) {
          const Vec<T> candidate = load_some(x + input_at(s, image, i, j) + c, left);
          const IntVec<T> place = place_of<T>((i - rows.start) * w.window + j - columns.start);
          if (i == rows.begin && j == columns.begin) {
            best = {candidate, place};
          } else {
            best.meet(candidate, place);
          }
        }
      }
      keep(best, out + c, left);
    }
  };
  each_output<T>(s, whole, part);
}

RANVIER_INLINE bool two_by_two(const Pool2dShape& s) {
  return s.window.height.window == 2 && s.window.width.window == 2;
}

template <typename T, typename Index, bool kKeep>
void max_forward_places(const T* x, T* y, Index* places, const Pool2dShape& s) {
  (two_by_two(s) ? max_forward_taps<T, Index, kKeep, 4> : max_forward_taps<T, Index, kKeep, 0>)(x, y, places, s);
}

// Windows that share no input: kTaps as above.
template <typename T, typename Index, int kTaps>
void max_backward_taps(const T* dy, const Index* places, T* dx, const Pool2dShape& s) {
  typedef typename VecTypes<T>::Scalar Place;
  const WindowAxis &h = s.window.height, &w = s.window.width;
  const int64_t taps = kTaps > 0 ? kTaps : h.window * w.window;
  const bool past = streamed(dx, s.images * h.size * w.size, s.channels);
  const auto whole = [&](int64_t image, int64_t p, int64_t q, int64_t, const int64_t* offsets) RANVIER_INLINED {
    const int64_t out = output_at(s, image, p, q), row = p * h.stride - h.before, column = q * w.stride - w.before;
    clear_beyond(s, image, p, q, {row, row + h.window, row}, {column, column + w.window, column}, dx);
    T* corner = dx + input_at(s, image, row, column);
    each_channels<T>(s.channels, [&](auto count, int64_t c, int64_t left) RANVIER_INLINED {
      constexpr int kVectors = decltype(count)::value;
      Vec<T> gradient[kVectors];
      IntVec<T> place[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        gradient[v] = ahead(load_some(dy + out + c + v * kWidth<T>, left));
        place[v] = load_places<T>(places + out + c + v * kWidth<T>, left);
      }
      for (int64_t tap = 0; tap < taps; ++tap) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          const IntVec<T> mine = place[v] == static_cast<Place>(tap);
          put(corner + offsets[tap] + c + v * kWidth<T>, select(mine, gradient[v], Vec<T>{}), left, past);
        }
      }
    });
    return int64_t{1};
  };
  const auto part = [&](int64_t image, int64_t p, int64_t q, Span rows, Span columns) {
    const int64_t out = output_at(s, image, p, q);
    clear_beyond(s, image, p, q, rows, columns, dx);
    for (int64_t c = 0; c < s.channels; c += kWidth<T>) {
      const int64_t left = min_of(kWidth<T>, s.channels - c);
      const Vec<T> gradient = load_some(dy + out + c, left);
      const IntVec<T> place = load_places<T>(places + out + c, left);
      for (int64_t i = rows.begin; i < rows.end; ++i) {
        for (int64_t j = columns.begin; j < columns.end; ++j) {
          const IntVec<T> mine = place == static_cast<Place>((i - rows.start) * w.window + j - columns.start);
          store_some(dx + input_at(s, image, i, j) + c, select(mine, gradient, Vec<T>{}), left);
        }
      }
    }
  };
  each_output<T>(s, whole, part);
}

template <typename T, typename Index>
void max_backward_disjoint(const T* dy, const Index* places, T* dx, const Pool2dShape& s) {
  (two_by_two(s) ? max_backward_taps<T, Index, 4> : max_backward_taps<T, Index, 0>)(dy, places, dx, s);
}

template <typename T, typename Index>
void max_backward_places(const T* dy, const Index* places, T* dx, const Pool2dShape& s) {
  if (disjoint(s)) return max_backward_disjoint(dy, places, dx, s);
  const WindowAxis &h = s.window.height, &w = s.window.width;
  each_input<T>(s, [&](int64_t image, int64_t row, int64_t column, Span rows, Span columns) {
    const int64_t in = input_at(s, image, row, column);
    for (int64_t c = 0; c < s.channels; c += kWidth<T>) {
      const int64_t left = min_of(kWidth<T>, s.channels - c);
      Vec<T> sum{};
      for (int64_t p = rows.begin; p < rows.end; ++p) {
        for (int64_t q = columns.begin; q < columns.end; ++q) {
          const int64_t place = (row + h.before - p * h.stride) * w.window + column + w.before - q * w.stride;
          const int64_t out = output_at(s, image, p, q) + c;
          const IntVec<T> mine = load_places<T>(places + out, left) == static_cast<typename VecTypes<T>::Scalar>(place);
          sum += select(mine, load_some(dy + out, left), Vec<T>{});
        }
      }
      store_some(dx + in + c, sum, left);
    }
  });
}

// Compares every place of the window, so that no argmax, however made, reads outside the image.
template <typename T, typename Index>
void max_gather_places(const T* x, const Index* places, T* y, const Pool2dShape& s) {
  const auto one = [&](int64_t image, int64_t p, int64_t q, Span rows, Span columns) {
    const int64_t out = output_at(s, image, p, q);
    for (int64_t c = 0; c < s.channels; c += kWidth<T>) {
      const int64_t left = min_of(kWidth<T>, s.channels - c);
      const IntVec<T> place = load_places<T>(places + out + c, left);
      Vec<T> value{};
      for (int64_t i = rows.begin; i < rows.end; ++i) {
        for (int64_t j = columns.begin; j < columns.end; ++j) {
          const int64_t here = (i - rows.start) * s.window.width.window + j - columns.start;
          const IntVec<T> mine = place == static_cast<typename VecTypes<T>::Scalar>(here);
          value = select(mine, load_some(x + input_at(s, image, i, j) + c, left), value);
        }
      }
      store_some(y + out + c, value, left);
    }
  };
  const auto whole = [&](int64_t image, int64_t p, int64_t q, int64_t, const int64_t*) {
    one(image, p, q, window_at(s.window.height, p), window_at(s.window.width, q));
    return int64_t{1};
  };
  each_output<T>(s, whole, one);
}

template <typename T>
void forward(const T* x, T* y, Argmax argmax, const Pool2dShape& s) {
  if (argmax.places == nullptr) return max_forward_places<T, uint8_t, false>(x, y, nullptr, s);
  if (argmax.wide) return max_forward_places<T, int32_t, true>(x, y, static_cast<int32_t*>(argmax.places), s);
  max_forward_places<T, uint8_t, true>(x, y, static_cast<uint8_t*>(argmax.places), s);
}

template <typename T>
void backward(const T* dy, Argmax argmax, T* dx, const Pool2dShape& s) {
  if (!argmax.wide) {  // where lanes of a vector would stay empty
    const auto* places = static_cast<const uint8_t*>(argmax.places);
    if (kShuffles && s.channels < kWidth<T> && disjoint(s)) return max_pool2d_spread(dy, places, dx, s);
    if (2 * s.channels <= kWidth<T>) return max_pool2d_scatter(dy, places, dx, s);
  }
  if (argmax.wide) return max_backward_places(dy, static_cast<const int32_t*>(argmax.places), dx, s);
  max_backward_places(dy, static_cast<const uint8_t*>(argmax.places), dx, s);
}

template <typename T>
void gather(const T* x, Argmax argmax, T* y, const Pool2dShape& s) {
  if (argmax.wide) return max_gather_places(x, static_cast<const int32_t*>(argmax.places), y, s);
  max_gather_places(x, static_cast<const uint8_t*>(argmax.places), y, s);
}

}  // namespace

void max_pool2d_forward(const float* x, float* y, Argmax argmax, const Pool2dShape& s) { forward(x, y, argmax, s); }
void max_pool2d_backward(const float* dy, Argmax argmax, float* dx, const Pool2dShape& s) {
  backward(dy, argmax, dx, s);
}
void max_pool2d_gather(const float* x, Argmax argmax, float* y, const Pool2dShape& s) { gather(x, argmax, y, s); }
void max_pool2d_forward(const double* x, double* y, Argmax argmax, const Pool2dShape& s) { forward(x, y, argmax, s); }
void max_pool2d_backward(const double* dy, Argmax argmax, double* dx, const Pool2dShape& s) {
  backward(dy, argmax, dx, s);
}
void max_pool2d_gather(const double* x, Argmax argmax, double* y, const Pool2dShape& s) { gather(x, argmax, y, s); }

}  // namespace RANVIER_ISA
}  // namespace ranvier
