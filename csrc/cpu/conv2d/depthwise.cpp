#include "cpu/conv2d/correlation.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// One input channel per group: nothing to multiply as matrices. Vectors run over output channels; where a
// channel has several outputs, it is repeated that often in a copy of the source.

// Some rows of an image, with zeros around it and each channel repeated, in a pitch of `columns` pixels.
template <typename T>
struct Strip {
  const T* source;
  int64_t columns;
};

template <typename T>
Strip<T> open_strip(const T* image, const CorrelationAxis& rows, const CorrelationAxis& columns, int64_t channels,
                    int64_t repeats, int64_t begin, int64_t outputs) {
  const int64_t from = begin * rows.stride - rows.pad, height = reach(rows, outputs);
  const bool inside = !sees_padding(columns) && from >= 0 && from + height <= rows.size;
  if (inside && repeats == 1) return {image + (from * columns.size - columns.pad) * channels, columns.size};
  const int64_t width = reach(columns, columns.out), size = height * width * channels;
  T* copy = static_cast<T*>(thread_scratch(kScratchPad, sizeof(T) * size));
  copy_padded(image, rows.size, columns.size, channels, from, height, columns.pad, width, copy);
  if (repeats == 1) return {copy, width};
  T* repeated = static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * (size * repeats + kWidth<T>)));
  for (int64_t i = 0; i < size; ++i) {  // whole vectors, whose ends the next ones overwrite
    for (int64_t r = 0; r < repeats; r += kWidth<T>) store(repeated + i * repeats + r, broadcast(copy[i]));
  }
  return {repeated, width};
}

// Where tap (i, j) lies from an output's first tap, in elements.
void tap_offsets(const CorrelationAxis& rows, const CorrelationAxis& columns, int64_t pitch, int64_t channels,
                 int64_t* offsets) {
  for (int64_t i = 0; i < rows.taps; ++i) {
    for (int64_t j = 0; j < columns.taps; ++j)
      *offsets++ = (i * rows.dilation * pitch + j * columns.dilation) * channels;
  }
}

// Some taps: where their sources lie from an output's first tap, where their weights lie, and the sources that none
// of the outputs above and to the left has seen.
struct Taps {
  const int64_t* offsets;
  const int64_t* weights;
  const int64_t* ahead;
  int64_t count;
  int64_t ahead_count;
};

// In `room` for three times as many numbers. The weights of a tap are weight_pitch elements.
Taps list_taps(const CorrelationAxis& rows, const CorrelationAxis& columns, TapRange i_range, TapRange j_range,
               int64_t pitch, int64_t channels, int64_t weight_pitch, int64_t* room) {
  const int64_t count = (i_range.end - i_range.begin) * (j_range.end - j_range.begin);
  int64_t *offset = room, *weight = room + count, *ahead = room + 2 * count;
  for (int64_t i = i_range.begin; i < i_range.end; ++i) {
    for (int64_t j = j_range.begin; j < j_range.end; ++j, ++offset, ++weight) {
      *offset = (i * rows.dilation * pitch + j * columns.dilation) * channels;
      *weight = (i * columns.taps + j + 1) * weight_pitch;
      if (i >= i_range.end - rows.stride && j >= j_range.end - columns.stride) *ahead++ = *offset;
    }
  }
  return {room, room + count, room + 2 * count, count, ahead - (room + 2 * count)};
}

template <typename T>
struct Row {
  const T* source;
  int64_t source_step;
  Taps taps;
  const T* weights;  // the bias, then the taps
  int64_t channels;
  T* output;
  int64_t output_step;
};

constexpr int64_t kMaxPixels = 8, kManyVectors = 4;

// kPixels neighbours in a row by kVectors vectors of channels, or the first `left` channels of one: enough chains of
// sums to keep the processor busy.
template <typename T, int kPixels, int kVectors, bool kWhole>
RANVIER_INLINE void correlate_pixels(const Row<T>& row, int64_t q, int64_t c, int64_t left) {
  const auto read = [&](const T* p) { return kWhole ? load(p) : load_partial(p, left); };
  Vec<T> sum[kPixels][kVectors];
  const T* pixel[kPixels];
#pragma GCC unroll 8
  for (int i = 0; i < kPixels; ++i) {
    pixel[i] = row.source + (q + i) * row.source_step + c;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[i][v] = read(row.weights + c + v * kWidth<T>);
  }
  const Taps& taps = row.taps;
  for (int64_t k = 0; k < taps.count; ++k) {
    const int64_t offset = taps.offsets[k];
    const T* weights = row.weights + taps.weights[k] + c;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const Vec<T> weight = read(weights + v * kWidth<T>);
#pragma GCC unroll 8
      for (int i = 0; i < kPixels; ++i) sum[i][v] = fma(read(pixel[i] + offset + v * kWidth<T>), weight, sum[i][v]);
    }
  }
  // What comes next is prefetched: the lines of pixels lie too far apart for the hardware to see them coming.
  const int64_t step = kPixels * row.source_step;
#pragma GCC unroll 8
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      for (int64_t k = 0; k < taps.ahead_count; ++k) {
        __builtin_prefetch(pixel[i] + taps.ahead[k] + step + v * kWidth<T>);
      }
      T* p = row.output + (q + i) * row.output_step + c + v * kWidth<T>;
      __builtin_prefetch(p + kPixels * row.output_step, 1);
      kWhole ? store(p, sum[i][v]) : store_partial(p, sum[i][v], left);
    }
  }
}

// All channels of kPixels neighbours: their sources lie side by side, and stay in L1 for the row below.
template <typename T, int kPixels>
void correlate_channels(const Row<T>& row, int64_t q) {
  constexpr int kVectors = kMaxPixels / kPixels;
  int64_t c = 0;
  for (; c + kVectors * kWidth<T> <= row.channels; c += kVectors * kWidth<T>) {
    correlate_pixels<T, kPixels, kVectors, true>(row, q, c, kWidth<T>);
  }
  for (; c + kWidth<T> <= row.channels; c += kWidth<T>) correlate_pixels<T, kPixels, 1, true>(row, q, c, kWidth<T>);
  if (c < row.channels) correlate_pixels<T, kPixels, 1, false>(row, q, c, row.channels - c);
}

template <typename T>
void correlate_row(const Row<T>& row, int64_t pixels) {
  typedef void (*Function)(const Row<T>&, int64_t);
  static const Function functions[kMaxPixels] = {
      correlate_channels<T, 1>, correlate_channels<T, 2>, correlate_channels<T, 3>, correlate_channels<T, 4>,
      correlate_channels<T, 5>, correlate_channels<T, 6>, correlate_channels<T, 7>, correlate_channels<T, 8>};
  const int64_t wide = max_of(1, kMaxPixels * row.channels / row.source_step);  // fewer where they lie apart
  const int64_t tiles = ceil_div(pixels, wide);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t from = pixels * t / tiles, to = pixels * (t + 1) / tiles;
    functions[to - from - 1](row, from);
  }
}

// Each row of weights `together` times.
template <typename T>
const T* pack_weights(const Correlation<T>& c, int64_t channels, int64_t together) {
  const int64_t taps = c.rows.taps * c.columns.taps, pitch = together * channels;
  T* packed = static_cast<T*>(thread_scratch(kScratchB, sizeof(T) * ((taps + 1) * pitch + kWidth<T>)));
  store(packed + (taps + 1) * pitch, Vec<T>{});  // up to a whole vector
  for (int64_t o = 0; o < channels; ++o) packed[o] = c.bias == nullptr ? T(0) : c.bias[o];
  for (int64_t k = 0; k < taps; ++k) {
    const T* tap = c.weights + k / c.columns.taps * c.weight_strides.row + k % c.columns.taps * c.weight_strides.column;
    T* out = packed + (k + 1) * pitch;
    for (int64_t group = 0; group < c.groups; ++group) {
      for (int64_t o = 0; o < c.out_channels; ++o) {
        *out++ = tap[group * c.weight_strides.group + o * c.weight_strides.out];
      }
    }
  }
  for (int64_t k = 0; k <= taps; ++k) {
    T* row = packed + k * pitch;
    for (int64_t i = channels; i < pitch; ++i) row[i] = row[i - channels];
  }
  return packed;
}

// Channels that fill no vectors: where neighbouring pixels lie side by side in source and output, that many of them are
// taken for one pixel with so many times the channels, and weights that repeat.
template <typename T>
int64_t pixels_together(const Correlation<T>& c, int64_t channels) {
  constexpr int64_t kFew = kManyVectors * kWidth<T>;
  const bool contiguous = c.columns.stride == 1 && c.output_strides.column == channels;
  if (!contiguous || channels >= kFew || channels % kWidth<T> == 0) return 1;
  return min_of(c.columns.out, ceil_div(2 * kFew, channels));
}

// Output rows of one image per task: their source rows, copied where padding is needed, overlap.
constexpr int64_t kBlockRows = 8;
constexpr int64_t kTapsAtOnce = 9;  // whose sums stay in registers

// What the rows of one image share.
template <typename T>
struct Image {
  const Correlation<T>* c;
  const T* weights;
  int64_t channels;
  int64_t together;  // pixels
  const T* source;
  T* output;
  int64_t* offsets;  // room for Taps
  int64_t weight_pitch() const { return together * channels; }
};

template <typename T>
void finish_row(const Image<T>& image, int64_t p) {
  const Correlation<T>& c = *image.c;
  if (c.activation.kind == ActivationKind::Linear) return;
  activate_row(c.activation, image.output + p * c.output_strides.row, c.columns.out * image.channels);
}

// The rows begin..end from a copy with padding.
template <typename T>
void correlate_strip(const Image<T>& image, int64_t begin, int64_t end) {
  const Correlation<T>& c = *image.c;
  const int64_t channels = image.channels;
  const Strip<T> strip = open_strip(image.source, c.rows, c.columns, c.groups, c.out_channels, begin, end - begin);
  const Taps taps = list_taps(c.rows, c.columns, {0, c.rows.taps}, {0, c.columns.taps}, strip.columns, channels,
                              image.weight_pitch(), image.offsets);
  const int64_t together = image.together, left = c.columns.out % together;
  Row<T> row{};
  row.taps = taps;
  row.weights = image.weights;
  for (int64_t p = begin; p < end; ++p) {
    row.source = strip.source + (p - begin) * c.rows.stride * strip.columns * channels;
    row.source_step = c.columns.stride * together * channels;
    row.output = image.output + p * c.output_strides.row;
    row.output_step = c.output_strides.column * together;
    row.channels = together * channels;
    correlate_row<T>(row, c.columns.out / together);
    if (left > 0) {
      row.source += (c.columns.out - left) * channels;
      row.output += (c.columns.out - left) * channels;
      row.channels = left * channels;
      correlate_row<T>(row, 1);
    }
    finish_row(image, p);
  }
}

// The rows begin..end from the image itself: outputs at its border leave taps out.
template <typename T>
void correlate_inside(const Image<T>& image, int64_t begin, int64_t end) {
  const Correlation<T>& c = *image.c;
  const int64_t channels = image.channels;
  for (int64_t p = begin; p < end; ++p) {
    const TapRange rows = taps_of_output(c.rows, p);
    for (int64_t q = 0, q_end; q < c.columns.out; q = q_end) {
      q_end = end_of_section(c.columns, q, c.columns.out);
      const TapRange columns = taps_of_output(c.columns, q);
      const Taps taps =
          list_taps(c.rows, c.columns, rows, columns, c.columns.size, channels, image.weight_pitch(), image.offsets);
      const int64_t y = p * c.rows.stride - c.rows.pad, x = q * c.columns.stride - c.columns.pad;
      correlate_row<T>(
          {image.source + (y * c.columns.size + x) * channels, c.columns.stride * channels, taps, image.weights,
           channels, image.output + p * c.output_strides.row + q * c.output_strides.column, c.output_strides.column},
          q_end - q);
    }
    finish_row(image, p);
  }
}

template <typename T>
bool correlate_depthwise_any(const Correlation<T>& c) {
  const int64_t channels = c.groups * c.out_channels, taps = c.rows.taps * c.columns.taps;
  const int64_t together = pixels_together(c, channels), pitch = together * channels;
  const T* weights = pack_weights(c, channels, together);
  // Where padding may be left out, and need not: a copy costs more than borders, but for few channels.
  bool inside = false;
  if (sees_padding(c.rows) || sees_padding(c.columns)) {
    const bool finite = all_finite(weights + pitch, ceil_div(taps * pitch, kWidth<T>) * kWidth<T>);
    inside = c.out_channels == 1 && (finite ? channels >= kManyVectors * kWidth<T> : !c.padding_counts);
    if (!finite && !c.padding_counts && !inside) return false;
  }
  const int64_t blocks = ceil_div(c.rows.out, kBlockRows);
  const int64_t work = kBlockRows * c.columns.out * (taps + 1) * ceil_div(channels, kWidth<T>);
  parallel(0, c.images * blocks, grain_for(work), [&](int64_t begin, int64_t end) {
    int64_t* offsets = static_cast<int64_t*>(thread_scratch(kScratchC, sizeof(int64_t) * 3 * taps));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / blocks, from = task % blocks * kBlockRows;
      const Image<T> image{&c,
                           weights,
                           channels,
                           together,
                           c.source + n * c.rows.size * c.columns.size * c.groups,
                           c.output + n * c.output_strides.image,
                           offsets};
      (inside ? correlate_inside<T> : correlate_strip<T>)(image, from, min_of(from + kBlockRows, c.rows.out));
    }
  });
  return true;
}

// Output rows, and what one of their taps sees from its first pixel on.
template <typename T>
struct Outputs {
  const T* source;
  int64_t source_row, source_column;
  const int64_t* offsets;  // of the taps
  const T* dy;
  int64_t rows, columns;
  int64_t channels;
};

// Adds them to the sums of kTaps taps, one vector of channels or the first `left` of them. A vector is a line: those
// of the next vector come meanwhile, for the hardware does not foresee lines as far apart as pixels.
template <typename T, int kTaps, bool kWhole>
void add_taps(const Outputs<T>& out, int64_t tap, int64_t c, int64_t left, T* sums) {
  const auto read = [&](const T* p) { return kWhole ? load(p) : load_partial(p, left); };
  Vec<T> sum[kTaps];
#pragma GCC unroll 9
  for (int k = 0; k < kTaps; ++k) sum[k] = read(sums + (tap + k) * out.channels + c);
  for (int64_t p = 0; p < out.rows; ++p) {
    const T* source[kTaps];
#pragma GCC unroll 9
    for (int k = 0; k < kTaps; ++k) source[k] = out.source + p * out.source_row + out.offsets[tap + k] + c;
    const T* dy = out.dy + p * out.columns * out.channels + c;
    for (int64_t q = 0, at = 0; q < out.columns; ++q, at += out.source_column, dy += out.channels) {
      const Vec<T> gradient = read(dy);
      __builtin_prefetch(dy + kWidth<T>);
      __builtin_prefetch(source[kTaps - 1] + at + kWidth<T>);
#pragma GCC unroll 9
      for (int k = 0; k < kTaps; ++k) sum[k] = fma(read(source[k] + at), gradient, sum[k]);
    }
  }
#pragma GCC unroll 9
  for (int k = 0; k < kTaps; ++k) {
    T* to = sums + (tap + k) * out.channels + c;
    kWhole ? store(to, sum[k]) : store_partial(to, sum[k], left);
  }
}

template <typename T, bool kWhole>
void add_some_taps(const Outputs<T>& out, int64_t tap, int64_t count, int64_t c, int64_t left, T* sums) {
  typedef void (*Function)(const Outputs<T>&, int64_t, int64_t, int64_t, T*);
  static const Function functions[kTapsAtOnce] = {
      add_taps<T, 1, kWhole>, add_taps<T, 2, kWhole>, add_taps<T, 3, kWhole>,
      add_taps<T, 4, kWhole>, add_taps<T, 5, kWhole>, add_taps<T, 6, kWhole>,
      add_taps<T, 7, kWhole>, add_taps<T, 8, kWhole>, add_taps<T, 9, kWhole>};
  functions[count - 1](out, tap, c, left, sums);
}

// Adds them to the sums of all taps, vector by vector.
template <typename T>
void add_outputs(const Outputs<T>& out, int64_t taps, T* sums) {
  const int64_t groups = ceil_div(taps, kTapsAtOnce);
  for (int64_t c = 0; c < out.channels; c += kWidth<T>) {
    const int64_t left = min_of(kWidth<T>, out.channels - c);
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t from = taps * group / groups, to = taps * (group + 1) / groups;
      (left == kWidth<T> ? add_some_taps<T, true> : add_some_taps<T, false>)(out, from, to - from, c, left, sums);
    }
  }
}

// Private sums for chunks of blocks that follow from the shape alone, added in order.
template <typename T>
void kernel_gradient_depthwise_any(const T* x, const T* dy, T* dw, const Conv2dShape& shape,
                                   const CorrelationAxis& rows, const CorrelationAxis& columns) {
  const int64_t channels = shape.out_channels, taps = rows.taps * columns.taps, size = taps * channels;
  const int64_t repeats = channels / shape.groups, row_blocks = ceil_div(rows.out, kBlockRows);
  const int64_t blocks = shape.images * row_blocks;
  const int64_t chunks =
      max_of(1, min_of(min_of(16, blocks), shape.images * rows.out * columns.out * channels / 32768));
  T* sums = static_cast<T*>(thread_scratch(kScratchB, sizeof(T) * chunks * size));
  parallel(0, chunks, 1, [&](int64_t begin, int64_t end) {
    int64_t* offsets = static_cast<int64_t*>(thread_scratch(kScratchC, sizeof(int64_t) * taps));
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      T* sum = sums + chunk * size;
      memset(sum, 0, sizeof(T) * size);
      for (int64_t block = blocks * chunk / chunks; block < blocks * (chunk + 1) / chunks; ++block) {
        const int64_t image = block / row_blocks, from = block % row_blocks * kBlockRows;
        const int64_t outputs = min_of(kBlockRows, rows.out - from);
        const Strip<T> strip = open_strip(x + image * rows.size * columns.size * shape.groups, rows, columns,
                                          shape.groups, repeats, from, outputs);
        tap_offsets(rows, columns, strip.columns, channels, offsets);
        add_outputs<T>({strip.source, rows.stride * strip.columns * channels, columns.stride * channels, offsets,
                        dy + (image * rows.out + from) * columns.out * channels, outputs, columns.out, channels},
                       taps, sum);
      }
    }
  });
  for (int64_t k = 0; k < taps; ++k) {
    T* out = dw + (k / columns.taps * shape.window.width.window + k % columns.taps) * channels;
    for (int64_t c = 0; c < channels; ++c) {
      T total = sums[k * channels + c];
      for (int64_t s = 1; s < chunks; ++s) total += sums[s * size + k * channels + c];
      out[c] = total;
    }
  }
}

}  // namespace

bool correlate_depthwise(const Correlation<float>& correlation) { return correlate_depthwise_any(correlation); }
bool correlate_depthwise(const Correlation<double>& correlation) { return correlate_depthwise_any(correlation); }

void kernel_gradient_depthwise(const float* x, const float* dy, float* dw, const Conv2dShape& shape,
                               const CorrelationAxis& rows, const CorrelationAxis& columns) {
  kernel_gradient_depthwise_any(x, dy, dw, shape, rows, columns);
}
void kernel_gradient_depthwise(const double* x, const double* dy, double* dw, const Conv2dShape& shape,
                               const CorrelationAxis& rows, const CorrelationAxis& columns) {
  kernel_gradient_depthwise_any(x, dy, dw, shape, rows, columns);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
