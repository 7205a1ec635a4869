// Images weighted along rows, then along columns: for each row of the result the few rows of the image that it is made
// of become one row in L1, and that one is gathered into pixels. Nothing between the two is written to memory: an image
// is read once (rows that serve twice are still in the caches) and its result written once.
#include "cpu/image/resize.h"

#include "cpu/row.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

constexpr int64_t kBeyond = 4;  // elements that a vector of four may read past a row in scratch

template <typename T>
struct Line {
  const T* x;  // the first of `taps` rows, `pitch` apart
  int64_t pitch, taps;
  const T* weights;  // `stride` apart
  int64_t stride;
  bool past;  // the result goes past the caches
};

// y[i] = the weighted sum of the rows' elements i: kVectors vectors at a time, the last ones masked.
template <typename T, int kVectors>
RANVIER_INLINE void weigh_strip(const Line<T>& line, T* y, int64_t at, int64_t left) {
  Vec<T> sum[kVectors] = {};
  for (int64_t t = 0; t < line.taps; ++t) {
    const T* from = line.x + t * line.pitch + at;
    const Vec<T> weight = broadcast(line.weights[t * line.stride]);
    for (int k = 0; k < kVectors; ++k) sum[k] = fma(weight, load_some(from + k * kWidth<T>, left), sum[k]);
  }
  for (int k = 0; k < kVectors; ++k) put(y + at + k * kWidth<T>, sum[k], left, line.past);
}

template <typename T>
void weigh_rows(const Line<T>& line, T* y, int64_t n) {
  constexpr int64_t w = kWidth<T>;
  if (line.taps == 1 && line.weights[0] == 1 && !line.past) {
    memcpy(y, line.x, sizeof(T) * static_cast<size_t>(n));
    return;
  }
  int64_t i = 0;
  for (; i + 4 * w <= n; i += 4 * w) weigh_strip<T, 4>(line, y, i, w);
  for (; i + w <= n; i += w) weigh_strip<T, 1>(line, y, i, w);
  if (i < n) weigh_strip<T, 1>(line, y, i, n - i);
}

template <typename T>
RANVIER_INLINE Vec<T> gather(const T* x, const int32_t* places) {
  Vec<T> v;
  for (int i = 0; i < kWidth<T>; ++i) v[i] = x[places[i]];
  return v;
}
#if defined(__AVX512F__)
template <>
RANVIER_INLINE Vec<float> gather<float>(const float* x, const int32_t* places) {
  __m512i at;
  memcpy(&at, places, sizeof(at));
  return (Vec<float>)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), 0xffff, at, x, 4);
}
template <>
RANVIER_INLINE Vec<double> gather<double>(const double* x, const int32_t* places) {
  __m256i at;
  memcpy(&at, places, sizeof(at));
  return (Vec<double>)_mm512_mask_i32gather_pd(_mm512_setzero_pd(), 0xff, at, x, 8);
}
#endif

// One channel: the vectors are pixels.
template <typename T>
void weigh_single(const T* x, T* y, const ResizeAxis& axis) {
  const T* weights = static_cast<const T*>(axis.weights);
  int64_t i = 0;
  for (; i + kWidth<T> <= axis.to; i += kWidth<T>) {
    Vec<T> sum{};
    for (int64_t t = 0; t < axis.taps; ++t)
      sum = fma(load(weights + t * axis.to + i), gather(x + t, axis.first + i), sum);
    store(y + i, sum);
  }
  for (; i < axis.to; ++i) {
    T sum = 0;
    for (int64_t t = 0; t < axis.taps; ++t) sum += weights[t * axis.to + i] * x[axis.first[i] + t];
    y[i] = sum;
  }
}

// Three or four channels: the vector is a pixel. The fourth lane of three is the next pixel's, which is written later.
template <typename T, int kChannels>
void weigh_pixels(const T* x, T* y, const ResizeAxis& axis) {
  typedef T Pixel __attribute__((vector_size(4 * sizeof(T))));
  const T* weights = static_cast<const T*>(axis.weights);
  for (int64_t i = 0; i < axis.to; ++i, y += kChannels) {
    const T* from = x + axis.first[i] * kChannels;
    Pixel sum{};
    for (int64_t t = 0; t < axis.taps; ++t) {
      Pixel pixel;
      memcpy(&pixel, from + t * kChannels, sizeof(pixel));
      sum += weights[t * axis.to + i] * pixel;
    }
    memcpy(y, &sum, i + 1 < axis.to ? sizeof(sum) : kChannels * sizeof(T));
  }
}

template <typename T>
void weigh_columns(const T* x, T* y, const ResizeAxis& axis, int64_t channels, bool past) {
  if (channels == 1) return weigh_single(x, y, axis);
  if (channels == 3) return weigh_pixels<T, 3>(x, y, axis);
  if (channels == 4) return weigh_pixels<T, 4>(x, y, axis);
  const T* weights = static_cast<const T*>(axis.weights);
  for (int64_t i = 0; i < axis.to; ++i) {
    weigh_rows<T>({x + axis.first[i] * channels, channels, axis.taps, weights + i, axis.to, past}, y + i * channels,
                  channels);
  }
}

template <typename T>
bool leaves_as_is(const ResizeAxis& axis) {
  if (axis.taps != 1 || axis.from != axis.to) return false;
  for (int64_t i = 0; i < axis.to; ++i) {
    if (axis.first[i] != i || static_cast<const T*>(axis.weights)[i] != 1) return false;
  }
  return true;
}

template <typename T>
void resize_images(const T* from, T* to, const ImageResize& r) {
  const int64_t width = r.columns.from * r.channels, result_width = r.columns.to * r.channels;
  const bool same_columns = leaves_as_is<T>(r.columns);
  const int64_t work = width * r.rows.taps + result_width * r.columns.taps;
  const bool past = streamed(to, r.images * r.rows.to * r.columns.to, r.channels);
  parallel(0, r.images * r.rows.to, grain_for(work / 4), [&](int64_t begin, int64_t end) {
    T* row = same_columns
                 ? nullptr
                 : static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * static_cast<uint64_t>(width + kBeyond)));
    for (int64_t line = begin; line < end; ++line) {
      const int64_t image = line / r.rows.to, i = line % r.rows.to;
      const T* x = from + (image * r.rows.from + r.rows.first[i]) * width;
      const Line<T> rows{
          x, width, r.rows.taps, static_cast<const T*>(r.rows.weights) + i, r.rows.to, past && same_columns};
      weigh_rows(rows, same_columns ? to + line * result_width : row, width);
      if (!same_columns) {
        for (int64_t k = 0; k < kBeyond; ++k) row[width + k] = 0;
        weigh_columns(row, to + line * result_width, r.columns, r.channels, past);
      }
    }
    finish_streaming();
  });
}

}  // namespace

void resize_forward(DType dtype, const void* x, void* y, const ImageResize& resize) {
  if (dtype == DType::Float32) {
    return resize_images(static_cast<const float*>(x), static_cast<float*>(y), resize);
  }
  resize_images(static_cast<const double*>(x), static_cast<double*>(y), resize);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
