// The gradient of max pooling where channels are too few to fill vectors: each output's gradient is added, one number
// at a time, to the input that was its window's largest. 2 ns an output, where masked vectors of one channel take 20.
//
// Threads share strips of input rows, and each strip meets the outputs whose windows touch it in their order: so the
// order in which an input's gradients are added follows from the shape.
#include "cpu/pool2d/window.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

constexpr int64_t kMostTaps = 256;  // places are bytes

struct Taps {
  int64_t row[kMostTaps], column[kMostTaps];  // in the window
  int64_t offset[kMostTaps];                  // of the element, from the window's first
};

Taps taps_of(const Pool2dShape& s) {
  Taps taps{};
  const int64_t width = s.window.width.window, count = s.window.height.window * width;
  for (int64_t tap = 0; tap < count && tap < kMostTaps; ++tap) {
    taps.row[tap] = tap / width;
    taps.column[tap] = tap % width;
    taps.offset[tap] = (taps.row[tap] * s.window.width.size + taps.column[tap]) * s.channels;
  }
  return taps;
}

// A window that lies within the strip and the image: kChannels numbers, or as many as there are (0).
template <typename T, int kChannels>
RANVIER_INLINE void add_whole(const T* dy, const uint8_t* places, int64_t channels, const Taps& taps, int64_t count,
                              T* corner) {
  const int64_t n = kChannels > 0 ? kChannels : channels;
  for (int64_t c = 0; c < n; ++c) {
    const int64_t tap = places[c];
    if (tap < count) corner[taps.offset[tap] + c] += dy[c];  // no argmax, however made, writes outside
  }
}

// One that may reach beyond: what lies outside is another strip's, or nobody's.
template <typename T>
void add_part(const T* dy, const uint8_t* places, const Taps& taps, int64_t count, int64_t row, int64_t column,
              Span strip, const Pool2dShape& s, T* image) {
  for (int64_t c = 0; c < s.channels; ++c) {
    const int64_t tap = places[c];
    if (tap >= count) continue;
    const int64_t i = row + taps.row[tap], j = column + taps.column[tap];
    if (i < strip.begin || i >= strip.end || j < 0 || j >= s.window.width.size) continue;
    image[(i * s.window.width.size + j) * s.channels + c] += dy[c];
  }
}

template <typename T, int kChannels>
void scatter_strip(const T* dy, const uint8_t* places, T* dx, const Pool2dShape& s, const Taps& taps, int64_t image,
                   Span strip) {
  const WindowAxis &h = s.window.height, &w = s.window.width;
  const int64_t count = h.window * w.window;
  const Span columns_whole = whole_windows(w);
  T* pixels = dx + input_at(s, image, 0, 0);
  memset(pixels + strip.begin * w.size * s.channels, 0, sizeof(T) * (strip.end - strip.begin) * w.size * s.channels);
  const int64_t first = outputs_over(h, strip.begin).begin, last = outputs_over(h, strip.end - 1).end;
  for (int64_t p = first; p < last; ++p) {
    const int64_t row = p * h.stride - h.before, out = output_at(s, image, p, 0);
    const bool within = row >= strip.begin && row + h.window <= strip.end;
    for (int64_t q = 0; q < w.out; ++q) {
      const int64_t column = q * w.stride - w.before, at = out + q * s.channels;
      if (within && q >= columns_whole.begin && q < columns_whole.end) {
        T* corner = pixels + (row * w.size + column) * s.channels;
        add_whole<T, kChannels>(dy + at, places + at, s.channels, taps, count, corner);
      } else {
        add_part(dy + at, places + at, taps, count, row, column, strip, s, pixels);
      }
    }
  }
}

template <typename T>
void scatter(const T* dy, const uint8_t* places, T* dx, const Pool2dShape& s) {
  const WindowAxis &h = s.window.height, &w = s.window.width;
  const int64_t rows = 8 * max_of(h.window, h.stride);  // of a strip: a window in eight is met twice
  const int64_t strips = ceil_div(h.size, rows);
  const Taps taps = taps_of(s);
  parallel(0, s.images * strips, grain_for(rows * w.size * s.channels), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t image = r / strips, from = r % strips * rows;
      const Span strip{from, min_of(h.size, from + rows), from};
      (s.channels == 1 ? scatter_strip<T, 1> : scatter_strip<T, 0>)(dy, places, dx, s, taps, image, strip);
    }
  });
}

}  // namespace

void max_pool2d_scatter(const float* dy, const uint8_t* places, float* dx, const Pool2dShape& s) {
  scatter(dy, places, dx, s);
}
void max_pool2d_scatter(const double* dy, const uint8_t* places, double* dx, const Pool2dShape& s) {
  scatter(dy, places, dx, s);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
