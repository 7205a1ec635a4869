#include "cpu/pool2d/window.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// kTaps: 4 for windows of 2x2, else 0.
template <typename T, int kTaps>
void average_forward(const T* x, T* y, const Pool2dShape& s) {
  const WindowAxis &h = s.window.height, &w = s.window.width;
  const int64_t taps = kTaps > 0 ? kTaps : h.window * w.window;
  const Walk walk = forward_walk(x, y, s);
  const auto whole = [&](int64_t image, int64_t p, int64_t q, int64_t end, const int64_t* offsets) RANVIER_INLINED {
    const auto corner_of = [&](int64_t column) RANVIER_INLINED {
      return x + input_at(s, image, p * h.stride - h.before, column * w.stride - w.before);
    };
    if (s.channels == 1) {
      const int64_t first = side_by_side<T>(s, q, end), n = min_of(kWidth<T>, end - first);
      Vec<T> sum = spaced(corner_of(first), w.stride, n);
      for (int64_t tap = 1; tap < taps; ++tap) sum += spaced(corner_of(first) + offsets[tap], w.stride, n);
      store_some(y + output_at(s, image, p, first), sum / broadcast(static_cast<T>(taps)), n);
      return first + n - q;
    }
    const T* corner = corner_of(q);
    const int64_t out = output_at(s, image, p, q);
    each_channels<T>(s.channels, [&](auto count, int64_t c, int64_t left) RANVIER_INLINED {
      constexpr int kVectors = decltype(count)::value;
      Vec<T> sum[kVectors];
      for (int64_t tap = 0; walk.ahead > 0 && tap < taps; ++tap) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          __builtin_prefetch(corner + offsets[tap] + walk.ahead + c + v * kWidth<T>);
        }
      }
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[v] = load_some(corner + c + v * kWidth<T>, left);
      for (int64_t tap = 1; tap < taps; ++tap) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) sum[v] += load_some(corner + offsets[tap] + c + v * kWidth<T>, left);
      }
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        put(y + out + c + v * kWidth<T>, sum[v] / broadcast(static_cast<T>(taps)), left, walk.past_the_caches);
      }
    });
    return int64_t{1};
  };
  const auto part = [&](int64_t image, int64_t p, int64_t q, Span rows, Span columns) {
    const Vec<T> size = broadcast(static_cast<T>((rows.end - rows.begin) * (columns.end - columns.begin)));
    for (int64_t c = 0; c < s.channels; c += kWidth<T>) {
      const int64_t left = min_of(kWidth<T>, s.channels - c);
      Vec<T> sum{};
      for (int64_t i = rows.begin; i < rows.end; ++i) {
        for (int64_t j = columns.begin; j < columns.end; ++j) sum += load_some(x + input_at(s, image, i, j) + c, left);
      }
      store_some(y + output_at(s, image, p, q) + c, sum / size, left);
    }
  };
  each_output<T>(s, whole, part);
}

template <typename T>
void avg_pool2d_forward(const T* x, T* y, const Pool2dShape& s) {
  const bool small = s.window.height.window == 2 && s.window.width.window == 2;
  (small ? average_forward<T, 4> : average_forward<T, 0>)(x, y, s);
}

template <typename T>
void backward_disjoint(const T* dy, T* dx, const Pool2dShape& s) {
  const bool past = streamed(dx, s.images * s.window.height.size * s.window.width.size, s.channels);
  const auto part = [&](int64_t image, int64_t p, int64_t q, Span rows, Span columns) RANVIER_INLINED {
    const Vec<T> size = broadcast(static_cast<T>((rows.end - rows.begin) * (columns.end - columns.begin)));
    clear_beyond(s, image, p, q, rows, columns, dx);
    each_channels<T>(s.channels, [&](auto count, int64_t c, int64_t left) RANVIER_INLINED {
      constexpr int kVectors = decltype(count)::value;
      Vec<T> share[kVectors];
      const int64_t out = output_at(s, image, p, q) + c;
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) share[v] = load_some(dy + out + v * kWidth<T>, left) / size;
      for (int64_t i = rows.begin; i < rows.end; ++i) {
        T* to = dx + input_at(s, image, i, columns.begin) + c;
        for (int64_t j = columns.begin; j < columns.end; ++j, to += s.channels) {
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) put(to + v * kWidth<T>, share[v], left, past);
        }
      }
    });
  };
  const auto whole = [&](int64_t image, int64_t p, int64_t q, int64_t, const int64_t*) {
    part(image, p, q, window_at(s.window.height, p), window_at(s.window.width, q));
    return int64_t{1};
  };
  each_output<T>(s, whole, part);
}

template <typename T>
void avg_pool2d_backward(const T* dy, T* dx, const Pool2dShape& s) {
  if (disjoint(s)) return backward_disjoint(dy, dx, s);
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
    {max_pool2d_forward, max_pool2d_backward, max_pool2d_gather, avg_pool2d_forward<float>, avg_pool2d_backward<float>},
    {max_pool2d_forward, max_pool2d_backward, max_pool2d_gather, avg_pool2d_forward<double>,
     avg_pool2d_backward<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
