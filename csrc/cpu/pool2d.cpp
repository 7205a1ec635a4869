#include "ops/pool2d.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Channels are the vectors. Forward, each output reads its window. Backward, where windows overlap, each
// *input* gathers from the windows that hold it: no two tasks write one element, and the order is fixed.

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

template <typename T, typename Index>
RANVIER_INLINE void store_places(Index* p, IntVec<T> places, int64_t n) {
  const auto narrow = __builtin_convertvector(places, typename Places<T, Index>::Vector);
  if (n == kWidth<T>) {
    memcpy(p, &narrow, sizeof(narrow));
  } else {
    memcpy(p, &narrow, sizeof(Index) * n);
  }
}

template <typename T>
RANVIER_INLINE Vec<T> load_some(const T* p, int64_t n) {
  return n == kWidth<T> ? load(p) : load_partial(p, n);
}

template <typename T>
RANVIER_INLINE void store_some(T* p, Vec<T> v, int64_t n) {
  n == kWidth<T> ? store(p, v) : store_partial(p, v, n);
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

Span window_at(const WindowAxis& axis, int64_t output) {
  const int64_t start = output * axis.stride - axis.before;
  return {max_of(0, start), min_of(axis.size, start + axis.window), start};
}

Span outputs_over(const WindowAxis& axis, int64_t input) {
  const int64_t last = input + axis.before;  // windows that start at or before this
  const int64_t begin = last < axis.window ? 0 : (last - axis.window) / axis.stride + 1;
  return {begin, min_of(axis.out, last / axis.stride + 1), 0};
}

// Calls body(image, row, column, rows' span, columns' span) for every pixel of (images, height, width);
// span_of gives the span of one position on an axis.
template <typename T, typename SpanOf, typename Body>
void each_pixel(const Pool2dShape& shape, int64_t height, int64_t width, int64_t window, const SpanOf& span_of,
                const Body& body) {
  parallel(0, shape.images * height, grain_for(width * window * ceil_div(shape.channels, kWidth<T>)),
           [&](int64_t begin, int64_t end) {
             Span* columns = static_cast<Span*>(thread_scratch(kScratchA, sizeof(Span) * width));
             for (int64_t q = 0; q < width; ++q) columns[q] = span_of(shape.window.width, q);
             for (int64_t r = begin; r < end; ++r) {
               const Span rows = span_of(shape.window.height, r % height);
               for (int64_t q = 0; q < width; ++q) body(r / height, r % height, q, rows, columns[q]);
             }
           });
}

// For outputs: their windows in the image, of about `window` elements.
template <typename T, typename Body>
void each_output(const Pool2dShape& shape, const Body& body) {
  const WindowAxis &h = shape.window.height, &w = shape.window.width;
  each_pixel<T>(shape, h.out, w.out, min_of(h.window, h.size) * min_of(w.window, w.size), window_at, body);
}

// For inputs: the outputs whose windows hold them.
template <typename T, typename Body>
void each_input(const Pool2dShape& shape, const Body& body) {
  const WindowAxis &h = shape.window.height, &w = shape.window.width;
  const int64_t covering = min_of(h.out, ceil_div(h.window, h.stride)) * min_of(w.out, ceil_div(w.window, w.stride));
  each_pixel<T>(shape, h.size, w.size, covering, outputs_over, body);
}

int64_t input_at(const Pool2dShape& s, int64_t image, int64_t row, int64_t column) {
  return ((image * s.window.height.size + row) * s.window.width.size + column) * s.channels;
}

int64_t output_at(const Pool2dShape& s, int64_t image, int64_t row, int64_t column) {
  return ((image * s.window.height.out + row) * s.window.width.out + column) * s.channels;
}

// The first place is compared with itself, which changes nothing.
template <typename T, typename Index, bool kKeep>
void max_forward_places(const T* x, T* y, Index* places, const Pool2dShape& s) {
  typedef typename VecTypes<T>::Scalar Place;
  each_output<T>(s, [&](int64_t image, int64_t p, int64_t q, Span rows, Span columns) {
    const int64_t out = output_at(s, image, p, q), row_pitch = s.window.width.size * s.channels;
    const T* corner = x + input_at(s, image, rows.begin, columns.begin);
    const int64_t first = (rows.begin - rows.start) * s.window.width.window + columns.begin - columns.start;
    each_channels<T>(s.channels, [&](auto count, int64_t c, int64_t left) {
      constexpr int kVectors = decltype(count)::value;
      Vec<T> best[kVectors];
      IntVec<T> place[kVectors];
      for (int v = 0; v < kVectors; ++v) {
        best[v] = load_some(corner + c + v * kWidth<T>, left);
        place[v] = IntVec<T>{} + static_cast<Place>(first);
      }
      for (int64_t i = 0; i < rows.end - rows.begin; ++i) {
        const T* from = corner + i * row_pitch + c;
        int64_t here = first + i * s.window.width.window;
        for (int64_t j = columns.begin; j < columns.end; ++j, ++here, from += s.channels) {
          for (int v = 0; v < kVectors; ++v) {
            const Vec<T> candidate = load_some(from + v * kWidth<T>, left);
            const IntVec<T> better = ~(candidate <= best[v]) & (best[v] == best[v]);  // greater, or the first NaN
            best[v] = select(better, candidate, best[v]);
            if (kKeep) place[v] = better ? IntVec<T>{} + static_cast<Place>(here) : place[v];
          }
        }
      }
      for (int v = 0; v < kVectors; ++v) {
        store_some(y + out + c + v * kWidth<T>, best[v], left);
        if (kKeep) store_places<T>(places + out + c + v * kWidth<T>, place[v], left);
      }
    });
  });
}

template <typename T>
void max_pool2d_forward(const T* x, T* y, Argmax argmax, const Pool2dShape& s) {
  if (argmax.places == nullptr) return max_forward_places<T, uint8_t, false>(x, y, nullptr, s);
  if (argmax.wide) return max_forward_places<T, int32_t, true>(x, y, static_cast<int32_t*>(argmax.places), s);
  max_forward_places<T, uint8_t, true>(x, y, static_cast<uint8_t*>(argmax.places), s);
}

// Where windows share no input, each output writes its own window, and clears the inputs between it and the
// next: the rows and columns up to where that begins.
int64_t owned_end(const WindowAxis& axis, int64_t output) {
  return output + 1 == axis.out ? axis.size : (output + 1) * axis.stride - axis.before;
}

template <typename T>
void clear_beyond(const Pool2dShape& s, int64_t image, int64_t p, int64_t q, Span rows, Span columns, T* dx) {
  const int64_t rows_end = owned_end(s.window.height, p), columns_end = owned_end(s.window.width, q);
  for (int64_t i = rows.begin; i < rows_end; ++i) {
    const int64_t from = i < rows.end ? columns.end : columns.begin;
    if (from < columns_end) memset(dx + input_at(s, image, i, from), 0, sizeof(T) * s.channels * (columns_end - from));
  }
}

template <typename T, typename Index>
void max_backward_disjoint(const T* dy, const Index* places, T* dx, const Pool2dShape& s) {
  each_output<T>(s, [&](int64_t image, int64_t p, int64_t q, Span rows, Span columns) {
    const int64_t out = output_at(s, image, p, q), row_pitch = s.window.width.size * s.channels;
    clear_beyond(s, image, p, q, rows, columns, dx);
    T* corner = dx + input_at(s, image, rows.begin, columns.begin);
    const int64_t first = (rows.begin - rows.start) * s.window.width.window + columns.begin - columns.start;
    each_channels<T>(s.channels, [&](auto count, int64_t c, int64_t left) {
      constexpr int kVectors = decltype(count)::value;
      Vec<T> gradient[kVectors];
      IntVec<T> place[kVectors];
      for (int v = 0; v < kVectors; ++v) {
        gradient[v] = load_some(dy + out + c + v * kWidth<T>, left);
        place[v] = load_places<T>(places + out + c + v * kWidth<T>, left);
      }
      for (int64_t i = 0; i < rows.end - rows.begin; ++i) {
        T* to = corner + i * row_pitch + c;
        int64_t here = first + i * s.window.width.window;
        for (int64_t j = columns.begin; j < columns.end; ++j, ++here, to += s.channels) {
          for (int v = 0; v < kVectors; ++v) {
            const IntVec<T> mine = place[v] == static_cast<typename VecTypes<T>::Scalar>(here);
            store_some(to + v * kWidth<T>, select(mine, gradient[v], Vec<T>{}), left);
          }
        }
      }
    });
  });
}

template <typename T, typename Index>
void max_backward_places(const T* dy, const Index* places, T* dx, const Pool2dShape& s) {
  const WindowAxis &h = s.window.height, &w = s.window.width;
  if (h.stride >= h.window && w.stride >= w.window) return max_backward_disjoint(dy, places, dx, s);
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

template <typename T>
void max_pool2d_backward(const T* dy, Argmax argmax, T* dx, const Pool2dShape& s) {
  if (argmax.wide) return max_backward_places(dy, static_cast<const int32_t*>(argmax.places), dx, s);
  max_backward_places(dy, static_cast<const uint8_t*>(argmax.places), dx, s);
}

// Compares every place of the window, so that no argmax, however made, reads outside the image.
template <typename T, typename Index>
void max_gather_places(const T* x, const Index* places, T* y, const Pool2dShape& s) {
  each_output<T>(s, [&](int64_t image, int64_t p, int64_t q, Span rows, Span columns) {
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
  });
}

template <typename T>
void max_pool2d_gather(const T* x, Argmax argmax, T* y, const Pool2dShape& s) {
  if (argmax.wide) return max_gather_places(x, static_cast<const int32_t*>(argmax.places), y, s);
  max_gather_places(x, static_cast<const uint8_t*>(argmax.places), y, s);
}

template <typename T>
void avg_pool2d_forward(const T* x, T* y, const Pool2dShape& s) {
  each_output<T>(s, [&](int64_t image, int64_t p, int64_t q, Span rows, Span columns) {
    const int64_t out = output_at(s, image, p, q), row_pitch = s.window.width.size * s.channels;
    const T* corner = x + input_at(s, image, rows.begin, columns.begin);
    const Vec<T> size = broadcast(static_cast<T>((rows.end - rows.begin) * (columns.end - columns.begin)));
    each_channels<T>(s.channels, [&](auto count, int64_t c, int64_t left) {
      constexpr int kVectors = decltype(count)::value;
      Vec<T> sum[kVectors] = {};
      for (int64_t i = 0; i < rows.end - rows.begin; ++i) {
        const T* from = corner + i * row_pitch + c;
        for (int64_t j = columns.begin; j < columns.end; ++j, from += s.channels) {
          for (int v = 0; v < kVectors; ++v) sum[v] += load_some(from + v * kWidth<T>, left);
        }
      }
      for (int v = 0; v < kVectors; ++v) store_some(y + out + c + v * kWidth<T>, sum[v] / size, left);
    });
  });
}

template <typename T>
void avg_pool2d_backward(const T* dy, T* dx, const Pool2dShape& s) {
  each_input<T>(s, [&](int64_t image, int64_t row, int64_t column, Span rows, Span columns) {
    const int64_t in = input_at(s, image, row, column);
    for (int64_t c = 0; c < s.channels; c += kWidth<T>) {
      const int64_t left = min_of(kWidth<T>, s.channels - c);
      Vec<T> sum{};
      for (int64_t p = rows.begin; p < rows.end; ++p) {
        const Span h = window_at(s.window.height, p);
        for (int64_t q = columns.begin; q < columns.end; ++q) {
          const Span w = window_at(s.window.width, q);
          const T count = static_cast<T>((h.end - h.begin) * (w.end - w.begin));
          sum += load_some(dy + output_at(s, image, p, q) + c, left) / broadcast(count);
        }
      }
      store_some(dx + in + c, sum, left);
    }
  });
}

}  // namespace

extern const PerType<Pool2dKernels> pool2d_kernels;
const PerType<Pool2dKernels> pool2d_kernels = {
    {max_pool2d_forward<float>, max_pool2d_backward<float>, max_pool2d_gather<float>, avg_pool2d_forward<float>,
     avg_pool2d_backward<float>},
    {max_pool2d_forward<double>, max_pool2d_backward<double>, max_pool2d_gather<double>, avg_pool2d_forward<double>,
     avg_pool2d_backward<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
