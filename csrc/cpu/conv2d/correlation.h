// What convolution's three directions share on the CPU.
//
// Forward convolution and every phase of its input gradient are one thing: a correlation of a source
// image with taps, written to output pixels that may lie apart. correlate() computes it as an implicit
// matrix product: NHWC makes the columns and channels under one kernel row contiguous, so a tile of
// output pixels multiplies straight from the source, without a matrix of patches in memory.
#pragma once

#include "cpu/simd.h"
#include "ops/conv2d.h"

namespace ranvier {
namespace RANVIER_ISA {

// One axis: output o sees the sources o * stride + tap * dilation - pad; outside there are zeros.
struct CorrelationAxis {
  int64_t size;
  int64_t taps;
  int64_t stride;
  int64_t dilation;
  int64_t pad;  // negative: the first sources are skipped
  int64_t out;
};

// Element strides; channels of outputs are contiguous.
struct OutputStrides {
  int64_t image;
  int64_t row;
  int64_t column;
};
struct WeightStrides {
  int64_t row;  // between taps; negative where a kernel is rotated
  int64_t column;
  int64_t in;
  int64_t out;
  int64_t group;
};

template <typename T>
struct Correlation {
  const T* source;  // (images, rows.size, columns.size, groups * in_channels)
  const T* weights;
  const T* bias;  // groups * out_channels, or null
  T* output;
  Activation activation;  // where not linear, output rows are contiguous
  int64_t images;
  CorrelationAxis rows;
  CorrelationAxis columns;
  int64_t groups;
  int64_t in_channels;   // per group
  int64_t out_channels;  // per group
  bool winograd;         // where it pays
  bool padding_counts;   // zeros around the source are multiplied: an infinite weight times them is NaN
  WeightStrides weight_strides;
  OutputStrides output_strides;
};

void correlate(const Correlation<float>& correlation);
void correlate(const Correlation<double>& correlation);

// For one input channel and few outputs per group (taps already trimmed): vectors of channels instead of a matrix
// product. False where padding that does not count met a weight that is not finite: nothing is done then.
bool correlate_depthwise(const Correlation<float>& correlation);
bool correlate_depthwise(const Correlation<double>& correlation);

// The side of the output tiles, 2 or 4, with which Winograd's algorithm costs less than the direct sum, or 0. row_taps:
// kernel rows that do not lie in padding, over all output rows; the direct sum skips the others.
int64_t winograd_side(int64_t images, int64_t rows, int64_t columns, int64_t row_taps, int64_t in_channels,
                      int64_t out_channels);
// By Winograd's algorithm with output tiles of that side: 3x3 taps, stride and dilation 1, one group.
void correlate_winograd(const Correlation<float>& correlation, int64_t outputs);

void kernel_gradient_winograd(const float* x, const float* dy, float* dw, const Conv2dShape& shape, int64_t outputs);

// Where it is no part of the kernels that write the row.
void activate_row(Activation activation, float* row, int64_t n);
void activate_row(Activation activation, double* row, int64_t n);
void conv2d_activation_gradient(Activation activation, const float* saved, const float* dy, float* dz, int64_t pixels,
                                int64_t channels, float* db);
void conv2d_activation_gradient(Activation activation, const double* saved, const double* dy, double* dz,
                                int64_t pixels, int64_t channels, double* db);

void kernel_gradient(const float* x, const float* dy, float* dw, const Conv2dShape& shape);
void kernel_gradient(const double* x, const double* dy, double* dw, const Conv2dShape& shape);
// For one input channel and few outputs per group; dw begins at the first of the (trimmed) taps.
void kernel_gradient_depthwise(const float* x, const float* dy, float* dw, const Conv2dShape& shape,
                               const CorrelationAxis& rows, const CorrelationAxis& columns);
void kernel_gradient_depthwise(const double* x, const double* dy, double* dw, const Conv2dShape& shape,
                               const CorrelationAxis& rows, const CorrelationAxis& columns);

// The same where a group has so few output channels that vectors of `width` lanes had better run over its inputs.
bool is_narrow(const Conv2dShape& shape, const CorrelationAxis& rows, const CorrelationAxis& columns, int64_t width);
void kernel_gradient_narrow(const float* x, const float* dy, float* dw, const Conv2dShape& shape,
                            const CorrelationAxis& rows, const CorrelationAxis& columns);
void kernel_gradient_narrow(const double* x, const double* dy, double* dw, const Conv2dShape& shape,
                            const CorrelationAxis& rows, const CorrelationAxis& columns);

namespace {

// Tiles of pixels (or kernel rows) x two vectors of output channels; what the registers hold.
#if defined(__AVX512F__)
constexpr int kMaxTile = 14;
#define RANVIER_TILE_HEIGHTS(F) F(1), F(2), F(3), F(4), F(5), F(6), F(7), F(8), F(9), F(10), F(11), F(12), F(13), F(14)
#else
constexpr int kMaxTile = 6;
#define RANVIER_TILE_HEIGHTS(F) F(1), F(2), F(3), F(4), F(5), F(6)
#endif

// Output channels in panels of two vectors, the last of one where that holds the rest.
template <typename T>
struct Panels {
  int64_t channels;

  int64_t count() const { return ceil_div(channels, 2 * kWidth<T>); }
  int64_t first(int64_t panel) const { return panel * 2 * kWidth<T>; }
  int64_t columns(int64_t panel) const { return min_of(2 * kWidth<T>, channels - first(panel)); }
  int vectors(int64_t panel) const { return columns(panel) > kWidth<T> ? 2 : 1; }
  int64_t width(int64_t panel) const { return vectors(panel) * kWidth<T>; }
  int64_t total_width() const { return ceil_div(channels, kWidth<T>) * kWidth<T>; }
};

template <typename T, int kVectors>
RANVIER_INLINE void store_columns(T* p, const Vec<T>* v, int64_t columns) {
  if (columns == kVectors * kWidth<T>) {
    for (int i = 0; i < kVectors; ++i) store(p + i * kWidth<T>, v[i]);
    return;
  }
  for (int i = 0; i < kVectors - 1; ++i) store(p + i * kWidth<T>, v[i]);
  store_partial(p + (kVectors - 1) * kWidth<T>, v[kVectors - 1], columns - (kVectors - 1) * kWidth<T>);
}

// Sources under that many neighbouring outputs, gaps included.
inline int64_t reach(const CorrelationAxis& axis, int64_t outputs) {
  return (outputs - 1) * axis.stride + (axis.taps - 1) * axis.dilation + 1;
}

inline bool sees_padding(const CorrelationAxis& axis) {
  return axis.pad > 0 || reach(axis, axis.out) - axis.pad > axis.size;
}

// One input channel per group, and fewer outputs than fill half a vector: more are better computed group by group.
template <typename T>
bool is_depthwise(int64_t groups, int64_t in_channels, int64_t out_channels) {
  return groups > 1 && in_channels == 1 && (out_channels == 1 || 2 * out_channels < kWidth<T>);
}

// Of n values, a multiple of the width.
template <typename T>
bool all_finite(const T* p, int64_t n) {
  Vec<T> zero[4] = {};  // stays so: Inf and NaN times 0 are NaN
  for (int64_t i = 0; i < n; i += kWidth<T>) {
    Vec<T>& sum = zero[i / kWidth<T> % 4];
    sum = fma(load(p + i), Vec<T>{}, sum);
  }
  return sum_lanes<T>((zero[0] + zero[1]) + (zero[2] + zero[3])) == 0;
}

// Taps begin..end of an axis: those that do not lie in padding for an output.
struct TapRange {
  int64_t begin;
  int64_t end;
};

inline TapRange taps_of_output(const CorrelationAxis& axis, int64_t output) {
  if (axis.taps == 0) return {0, 0};
  const int64_t first = output * axis.stride - axis.pad;
  const int64_t begin = first >= 0 ? 0 : ceil_div(-first, axis.dilation);
  const int64_t end = first >= axis.size ? 0 : min_of(axis.taps, (axis.size - 1 - first) / axis.dilation + 1);
  return {begin, max_of(begin, end)};
}

// The outputs begin..end see the same taps; at most until `limit`.
inline int64_t end_of_section(const CorrelationAxis& axis, int64_t begin, int64_t limit) {
  const TapRange taps = taps_of_output(axis, begin);
  for (int64_t end = begin + 1; end < limit; ++end) {
    const TapRange next = taps_of_output(axis, end);
    if (next.begin != taps.begin || next.end != taps.end) return end;
  }
  return limit;
}

// Drops leading and trailing taps that meet padding only, which a huge dilation brings: what is left
// spans no more than a few times source and output.
inline CorrelationAxis touching_taps(CorrelationAxis axis, int64_t* first) {
  const auto touches = [&](int64_t tap) {
    const int64_t shift = tap * axis.dilation - axis.pad;
    const int64_t o = shift >= 0 ? 0 : ceil_div(-shift, axis.stride);
    return o < axis.out && o * axis.stride + shift < axis.size;
  };
  int64_t end = axis.taps;
  *first = 0;
  while (*first < end && !touches(*first)) ++*first;
  while (end > *first && !touches(end - 1)) --end;
  axis.taps = end - *first;
  axis.pad -= *first * axis.dilation;
  return axis;
}

// Rows from..from+rows of an image, columns -left..-left+width, as a dense block with zeros where there is
// no image; rows that lie outside as a whole may be left out, where nobody reads them.
template <typename T>
void copy_padded(const T* image, int64_t height, int64_t width, int64_t channels, int64_t from, int64_t rows,
                 int64_t left, int64_t block_width, T* block, bool rows_outside = true) {
  const int64_t begin = min_of(block_width, max_of(0, left));            // first block column inside the image
  const int64_t end = max_of(begin, min_of(block_width, width + left));  // one past the last
  for (int64_t r = 0; r < rows; ++r) {
    T* row = block + r * block_width * channels;
    const int64_t y = from + r;
    if (y < 0 || y >= height) {
      if (rows_outside) memset(row, 0, sizeof(T) * block_width * channels);
      continue;
    }
    memset(row, 0, sizeof(T) * begin * channels);
    memcpy(row + begin * channels, image + (y * width + begin - left) * channels, sizeof(T) * (end - begin) * channels);
    memset(row + end * channels, 0, sizeof(T) * (block_width - end) * channels);
  }
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
