// Windows over NHWC images: where they lie, and the loops over outputs, inputs and channels. Channels are the vectors.
#pragma once

#include "cpu/row.h"
#include "ops/pool2d.h"

namespace ranvier {
namespace RANVIER_ISA {

void max_pool2d_forward(const float* x, float* y, Argmax argmax, const Pool2dShape& s);
void max_pool2d_backward(const float* dy, Argmax argmax, float* dx, const Pool2dShape& s);
void max_pool2d_gather(const float* x, Argmax argmax, float* y, const Pool2dShape& s);
void max_pool2d_scatter(const float* dy, const uint8_t* places, float* dx, const Pool2dShape& s);
void max_pool2d_spread(const float* dy, const uint8_t* places, float* dx, const Pool2dShape& s);
void max_pool2d_forward(const double* x, double* y, Argmax argmax, const Pool2dShape& s);
void max_pool2d_backward(const double* dy, Argmax argmax, double* dx, const Pool2dShape& s);
void max_pool2d_gather(const double* x, Argmax argmax, double* y, const Pool2dShape& s);
void max_pool2d_scatter(const double* dy, const uint8_t* places, double* dx, const Pool2dShape& s);
void max_pool2d_spread(const double* dy, const uint8_t* places, double* dx, const Pool2dShape& s);

namespace {

// Vectors of places, as narrow as they are stored, beside a vector of T.
// clang-format off
template <typename T, typename Index> struct Places;
template <> struct Places<float, uint8_t> { typedef uint8_t Vector __attribute__((vector_size(kVectorBytes / 4))); };
template <> struct Places<float, int32_t> { typedef int32_t Vector __attribute__((vector_size(kVectorBytes))); };
template <> struct Places<double, uint8_t> { typedef uint8_t Vector __attribute__((vector_size(kVectorBytes / 8))); };
template <> struct Places<double, int32_t> { typedef int32_t Vector __attribute__((vector_size(kVectorBytes / 2))); };
// clang-format on

template <typename T, typename Index>
RANVIER_INLINE IntVec<T> load_places(const Index* p, int64_t n) {
  typename Places<T, Index>::Vector narrow{};
  if (n == kWidth<T>) {
    memcpy(&narrow, p, sizeof(narrow));
  } else {
    memcpy(&narrow, p, sizeof(Index) * n);
  }
  return __builtin_convertvector(narrow, IntVec<T>);
}

#if defined(__AVX512F__)  // one instruction each, where the compiler takes byte by byte
template <>
RANVIER_INLINE IntVec<float> load_places<float, uint8_t>(const uint8_t* p, int64_t n) {
  const __mmask16 lanes = static_cast<__mmask16>((1u << n) - 1);
  return (IntVec<float>)_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, p));
}
template <>
RANVIER_INLINE IntVec<double> load_places<double, uint8_t>(const uint8_t* p, int64_t n) {
  const __mmask16 lanes = static_cast<__mmask16>((1u << n) - 1);
  return (IntVec<double>)_mm512_cvtepu8_epi64(_mm_maskz_loadu_epi8(lanes, p));
}
#elif defined(__AVX2__)
template <>
RANVIER_INLINE IntVec<float> load_places<float, uint8_t>(const uint8_t* p, int64_t n) {
  int64_t bytes = 0;
  if (n == kWidth<float>) {
    memcpy(&bytes, p, sizeof(bytes));
  } else {
    memcpy(&bytes, p, n);
  }
  return (IntVec<float>)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes));
}
#endif

// Images of one channel: the lanes are outputs side by side instead, n of them, whose windows lie `step` elements
// apart.
template <typename T>
RANVIER_INLINE Vec<T> spaced(const T* from, int64_t step, int64_t n) {
  Vec<T> v{};
  if (n == kWidth<T>) {
#pragma GCC unroll 16
    for (int64_t lane = 0; lane < kWidth<T>; ++lane) v[lane] = from[lane * step];
  } else {
#pragma GCC unroll 16
    for (int64_t lane = 0; lane < kWidth<T>; ++lane) v[lane] = from[min_of(lane, n - 1) * step];
  }
  return v;
}

// Calls body(Count<n>, c, left) for the channels from c on: n whole vectors at a time, or the last few channels.
template <int n>
struct Count {
  static constexpr int value = n;
};

template <typename T, typename Body>
RANVIER_INLINE void each_channels(int64_t channels, const Body& body) {
  int64_t c = 0;
  for (; c + 4 * kWidth<T> <= channels; c += 4 * kWidth<T>) body(Count<4>{}, c, kWidth<T>);
  for (; c + 2 * kWidth<T> <= channels; c += 2 * kWidth<T>) body(Count<2>{}, c, kWidth<T>);
  for (; c < channels; c += kWidth<T>) body(Count<1>{}, c, min_of(kWidth<T>, channels - c));
}

// begin..end along an axis, and where the window of tap 0 would start (before 0 in padding).
struct Span {
  int64_t begin;
  int64_t end;
  int64_t start;
};

RANVIER_INLINE Span window_at(const WindowAxis& axis, int64_t output) {
  const int64_t start = output * axis.stride - axis.before;
  return {max_of(0, start), min_of(axis.size, start + axis.window), start};
}

RANVIER_INLINE Span outputs_over(const WindowAxis& axis, int64_t input) {
  const int64_t last = input + axis.before;  // windows that start at or before this
  const int64_t begin = last < axis.window ? 0 : (last - axis.window) / axis.stride + 1;
  return {begin, min_of(axis.out, last / axis.stride + 1), 0};
}

RANVIER_INLINE int64_t input_at(const Pool2dShape& s, int64_t image, int64_t row, int64_t column) {
  return ((image * s.window.height.size + row) * s.window.width.size + column) * s.channels;
}

RANVIER_INLINE int64_t output_at(const Pool2dShape& s, int64_t image, int64_t row, int64_t column) {
  return ((image * s.window.height.out + row) * s.window.width.out + column) * s.channels;
}

// Images beyond the caches, one row of windows after the other: processors follow several rows of an image badly, so
// the next windows' elements are asked for, this far ahead; and what large outputs would drive out is not read again.
struct Walk {
  int64_t ahead;         // 0: the caches hold the images
  bool past_the_caches;  // the outputs
};

template <typename T>
RANVIER_INLINE Walk forward_walk(const T* x, const T* y, const Pool2dShape& s) {
  const WindowAxis &h = s.window.height, &w = s.window.width;
  const bool large = streamed(x, s.images * h.size * w.size, s.channels);
  const bool large_output = s.images * h.out * w.out * s.channels * 8 * int64_t(sizeof(T)) >= kStreamedBytes;
  return {large ? h.stride * w.size * s.channels : 0, large && large_output && aligned(y)};
}

// The outputs begin..end of an axis whose windows lie in the image as a whole.
RANVIER_INLINE Span whole_windows(const WindowAxis& axis) {
  const int64_t begin = min_of(axis.out, ceil_div(axis.before, axis.stride));
  const int64_t room = axis.size + axis.before - axis.window;
  const int64_t end = room < 0 ? 0 : min_of(axis.out, room / axis.stride + 1);
  return {begin, max_of(begin, end), 0};
}

// Where a vector of outputs begins that holds output q and lies among the whole windows up to end, if it can: the last
// ones of a row may be computed twice.
template <typename T>
RANVIER_INLINE int64_t side_by_side(const Pool2dShape& s, int64_t q, int64_t end) {
  const int64_t first = min_of(q, end - kWidth<T>);
  return first >= whole_windows(s.window.width).begin ? first : q;
}

// The elements of a whole window, in order, from its first one on.
RANVIER_INLINE const int64_t* window_offsets(const Pool2dShape& s) {
  const WindowAxis &h = s.window.height, &w = s.window.width;
  if (h.window > h.size || w.window > w.size) return nullptr;  // none is whole
  int64_t* offsets = static_cast<int64_t*>(thread_scratch(kScratchB, sizeof(int64_t) * h.window * w.window));
  for (int64_t i = 0; i < h.window; ++i) {
    for (int64_t j = 0; j < w.window; ++j) offsets[i * w.window + j] = (i * w.size + j) * s.channels;
  }
  return offsets;
}

// One row of outputs: whole(q, end, offsets) for the outputs with whole windows, of which it does one or several from
// q on, and says how many; part(q, rows, columns) for each of the others.
template <typename T, typename Whole, typename Part>
RANVIER_INLINE void each_output(const Pool2dShape& s, const Whole& whole, const Part& part) {
  const WindowAxis &h = s.window.height, &w = s.window.width;
  const Span rows_whole = whole_windows(h), columns_whole = whole_windows(w);
  const int64_t taps = min_of(h.window, h.size) * min_of(w.window, w.size);
  parallel(0, s.images * h.out, grain_for(w.out * taps * max_of(s.channels, 4) / 4), [&](int64_t begin, int64_t end) {
    const int64_t* offsets = window_offsets(s);
    for (int64_t r = begin; r < end; ++r) {
      const int64_t image = r / h.out, p = r % h.out;
      const bool in_rows = p >= rows_whole.begin && p < rows_whole.end;
      const int64_t from = in_rows ? columns_whole.begin : w.out, to = in_rows ? columns_whole.end : w.out;
      for (int64_t q = 0; q < from; ++q) part(image, p, q, window_at(h, p), window_at(w, q));
      for (int64_t q = from; q < to;) q += whole(image, p, q, to, offsets);
      for (int64_t q = to; q < w.out; ++q) part(image, p, q, window_at(h, p), window_at(w, q));
    }
    finish_streaming();
  });
}

// For inputs: the outputs whose windows hold them.
template <typename T, typename Body>
RANVIER_INLINE void each_input(const Pool2dShape& s, const Body& body) {
  const WindowAxis &h = s.window.height, &w = s.window.width;
  const int64_t covering = min_of(h.out, ceil_div(h.window, h.stride)) * min_of(w.out, ceil_div(w.window, w.stride));
  const int64_t work = w.size * covering * ceil_div(s.channels, kWidth<T>);
  parallel(0, s.images * h.size, grain_for(work), [&](int64_t begin, int64_t end) {
    Span* columns = static_cast<Span*>(thread_scratch(kScratchA, sizeof(Span) * w.size));
    for (int64_t q = 0; q < w.size; ++q) columns[q] = outputs_over(w, q);
    for (int64_t r = begin; r < end; ++r) {
      const Span rows = outputs_over(h, r % h.size);
      for (int64_t q = 0; q < w.size; ++q) body(r / h.size, r % h.size, q, rows, columns[q]);
    }
  });
}

// Where windows share no input, each output writes its own window, and clears the inputs between it and the
// next: the rows and columns up to where that begins.
RANVIER_INLINE bool disjoint(const Pool2dShape& s) {
  return s.window.height.stride >= s.window.height.window && s.window.width.stride >= s.window.width.window;
}

RANVIER_INLINE int64_t owned_end(const WindowAxis& axis, int64_t output) {
  return output + 1 == axis.out ? axis.size : (output + 1) * axis.stride - axis.before;
}

template <typename T>
RANVIER_INLINE void clear_beyond(const Pool2dShape& s, int64_t image, int64_t p, int64_t q, Span rows, Span columns,
                                 T* dx) {
  const int64_t rows_end = owned_end(s.window.height, p), columns_end = owned_end(s.window.width, q);
  if (rows_end == rows.end && columns_end == columns.end) return;
  for (int64_t i = rows.begin; i < rows_end; ++i) {
    const int64_t from = i < rows.end ? columns.end : columns.begin;
    if (from < columns_end) memset(dx + input_at(s, image, i, from), 0, sizeof(T) * s.channels * (columns_end - from));
  }
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
