// The gradient of max pooling where windows share no input and channels are too few to fill vectors: each input lies
// under one output at most, so nothing is added up. A row of dx is written as one long vector of columns and channels;
// each lane takes the gradient of the output above it, if that output's largest was there.
//
// The lanes of one vector lie under at most as many neighbouring outputs as there are lanes (columns of one window
// repeat its channels), so one shuffle brings each its own: a dozen instructions for a vector of dx, where masked
// vectors of channels take 20 ns an output.
#include "cpu/pool2d/window.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Each lane takes the one of v whose number `from` gives.
#if defined(__AVX512F__)
RANVIER_INLINE Vec<float> taken(Vec<float> v, IntVec<float> from) {
  return (Vec<float>)_mm512_permutexvar_ps((__m512i)from, (__m512)v);
}
RANVIER_INLINE Vec<double> taken(Vec<double> v, IntVec<double> from) {
  return (Vec<double>)_mm512_permutexvar_pd((__m512i)from, (__m512d)v);
}
#elif defined(__AVX2__)
RANVIER_INLINE Vec<float> taken(Vec<float> v, IntVec<float> from) {
  return (Vec<float>)_mm256_permutevar8x32_ps((__m256)v, (__m256i)from);
}
RANVIER_INLINE Vec<double> taken(Vec<double> v, IntVec<double> from) {  // as pairs of halves
  const IntVec<double> halves = from * 2 + ((from * 2 + 1) << 32);
  return (Vec<double>)_mm256_permutevar8x32_ps((__m256)v, (__m256i)halves);
}
#else  // never called
template <typename V, typename I>
RANVIER_INLINE V taken(V v, I from) {
  V lanes{};
  for (int64_t i = 0; i < int64_t(sizeof(V) / sizeof(v[0])); ++i) lanes[i] = v[from[i]];
  return lanes;
}
#endif

constexpr int kNoColumn = -1024;  // no place, whatever the row

// What lies above the lanes of one vector of a row.
template <typename T>
struct Above {
  int64_t first;     // the first output among them, from the row's first
  IntVec<T> output;  // each lane's, from there
  IntVec<T> column;  // and its column within the window; kNoColumn: no window
};

template <typename T>
RANVIER_INLINE const Above<T>* all_above(const Pool2dShape& s) {
  const WindowAxis& w = s.window.width;
  const int64_t vectors = ceil_div(w.size * s.channels, kWidth<T>);
  Above<T>* above = static_cast<Above<T>*>(thread_scratch(kScratchA, sizeof(Above<T>) * vectors));
  int64_t q = w.before / w.stride, column = w.before % w.stride, channel = 0;
  for (int64_t v = 0; v < vectors; ++v) {
    Above<T> here{w.out * s.channels, IntVec<T>{}, IntVec<T>{} + kNoColumn};
    int64_t outputs[kWidth<T>];
    for (int64_t lane = 0; lane < kWidth<T>; ++lane) {
      const bool covered = q < w.out && column < w.window;
      outputs[lane] = covered ? q * s.channels + channel : -1;
      if (covered) {
        here.first = min_of(here.first, outputs[lane]);
        here.column[lane] = static_cast<int>(column);
      }
      if (++channel < s.channels) continue;
      channel = 0;
      if (++column < w.stride) continue;
      column = 0;
      ++q;
    }
    for (int64_t lane = 0; lane < kWidth<T>; ++lane) {
      if (outputs[lane] >= 0) here.output[lane] = static_cast<int>(outputs[lane] - here.first);
    }
    above[v] = here;
  }
  return above;
}

// From the outputs over a row of inputs, the first of all that follow in memory.
template <typename T>
void spread_row(const T* dy, const uint8_t* places, int64_t outputs, T* dx, int64_t inputs, int64_t first_place,
                const Above<T>* above, bool past) {
  for (int64_t j = 0; j < inputs; j += kWidth<T>, ++above) {
    const int64_t left = min_of(kWidth<T>, inputs - j), there = min_of(kWidth<T>, outputs - above->first);
    const Vec<T> gradient = taken(load_some(dy + above->first, there), above->output);
    const IntVec<T> place = (IntVec<T>)taken((Vec<T>)load_places<T>(places + above->first, there), above->output);
    const IntVec<T> mine = place == above->column + static_cast<typename VecTypes<T>::Scalar>(first_place);
    put(dx + j, select(mine, gradient, Vec<T>{}), left, past);
  }
}

template <typename T>
void spread(const T* dy, const uint8_t* places, T* dx, const Pool2dShape& s) {
  const WindowAxis &h = s.window.height, &w = s.window.width;
  const int64_t row = w.size * s.channels, all = s.images * h.out * w.out * s.channels;
  const bool past = streamed(dx, s.images * h.size * w.size, s.channels) && row % kWidth<T> == 0;
  parallel(0, s.images * h.size, grain_for(row), [&](int64_t begin, int64_t end) {
    const Above<T>* above = all_above<T>(s);
    for (int64_t r = begin; r < end; ++r) {
      const int64_t from_top = r % h.size + h.before, p = from_top / h.stride, tap = from_top % h.stride;
      if (p < h.out && tap < h.window) {
        const int64_t out = output_at(s, r / h.size, p, 0);
        spread_row(dy + out, places + out, all - out, dx + r * row, row, tap * w.window, above, past);
      } else {
        memset(dx + r * row, 0, sizeof(T) * row);
      }
    }
    finish_streaming();
  });
}

}  // namespace

void max_pool2d_spread(const float* dy, const uint8_t* places, float* dx, const Pool2dShape& s) {
  spread(dy, places, dx, s);
}
void max_pool2d_spread(const double* dy, const uint8_t* places, double* dx, const Pool2dShape& s) {
  spread(dy, places, dx, s);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
