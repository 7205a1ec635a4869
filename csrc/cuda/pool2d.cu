// max_pool2d, avg_pool2d and their gradients: a thread for each number that is written, lanes along the channels,
// which lie side by side. Gradients gather: an input asks the windows that saw it, in their order, so that no two
// threads add to one place.
#include "ops/pool2d.h"

#include "cuda/half.h"
#include "cuda/launch.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// A number of an image: channel fastest, then column, row, image.
struct Place {
  int64_t image, row, column, channel;
};
__device__ Place place_of(int64_t i, int64_t height, int64_t width, int64_t channels) {
  const int64_t pixel = i / channels, row = pixel / width;
  return {row / height, row % height, pixel % width, i % channels};
}

// The part of a window that lies in the image: taps begin..end along one axis.
struct Taps {
  int64_t first, begin, end;  // the input of tap 0 may lie outside
};
__device__ Taps taps_of(const WindowAxis& axis, int64_t out) {
  const int64_t first = out * axis.stride - axis.before;
  int64_t begin = first < 0 ? ceil_div<int64_t>(-first, axis.dilation) : 0, end = axis.window;
  if (first + (end - 1) * axis.dilation >= axis.size) end = ceil_div<int64_t>(axis.size - first, axis.dilation);
  return {first, begin, end};
}

// The outputs that may see an input: begin..end, of which those count whose tap divides.
struct Outputs {
  int64_t begin, end;
};
__device__ Outputs outputs_of(const WindowAxis& axis, int64_t in) {
  const int64_t reach = in + axis.before - (axis.window - 1) * axis.dilation;  // the first output ends here or beyond
  const int64_t begin = reach <= 0 ? 0 : ceil_div<int64_t>(reach, axis.stride);
  const int64_t last = (in + axis.before) / axis.stride;
  return {begin, last + 1 < axis.out ? last + 1 : axis.out};
}
// The tap through which an output sees an input, or -1.
__device__ int64_t tap_of(const WindowAxis& axis, int64_t out, int64_t in) {
  const int64_t distance = in + axis.before - out * axis.stride;
  if (distance < 0 || distance % axis.dilation != 0) return -1;
  return distance / axis.dilation < axis.window ? distance / axis.dilation : -1;
}

__device__ int64_t argmax_at(Argmax argmax, int64_t i) {
  return argmax.wide ? static_cast<const int32_t*>(argmax.places)[i] : static_cast<const uint8_t*>(argmax.places)[i];
}

template <typename T>
__global__ void take_maxima(const T* x, T* y, Argmax argmax, Pool2dShape shape, int64_t count) {
  const WindowAxis height = shape.window.height, width = shape.window.width;
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const Place at = place_of(i, height.out, width.out, shape.channels);
    const Taps rows = taps_of(height, at.row), columns = taps_of(width, at.column);
    Wide<T> best = -Wide<T>(INFINITY);
    int64_t where = -1;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const int64_t row = at.image * height.size + rows.first + r * height.dilation;
      for (int64_t c = columns.begin; c < columns.end; ++c) {
        const int64_t column = columns.first + c * width.dilation;
        const Wide<T> value = wide(x[(row * width.size + column) * shape.channels + at.channel]);
        if (where < 0 || value > best || (value != value && best == best)) {  // the first of equal ones, or of NaNs
          best = value;
          where = r * width.window + c;
        }
      }
    }
    y[i] = rounded<T>(best);
    if (argmax.places == nullptr) continue;
    if (argmax.wide) {
      static_cast<int32_t*>(argmax.places)[i] = int32_t(where);
    } else {
      static_cast<uint8_t*>(argmax.places)[i] = uint8_t(where);
    }
  }
}

template <typename T>
__global__ void give_to_maxima(const T* dy, Argmax argmax, T* dx, Pool2dShape shape, int64_t count) {
  const WindowAxis height = shape.window.height, width = shape.window.width;
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const Place at = place_of(i, height.size, width.size, shape.channels);
    const Outputs rows = outputs_of(height, at.row), columns = outputs_of(width, at.column);
    Wide<T> sum = 0;
    for (int64_t p = rows.begin; p < rows.end; ++p) {
      const int64_t row_tap = tap_of(height, p, at.row);
      for (int64_t q = columns.begin; q < columns.end && row_tap >= 0; ++q) {
        const int64_t column_tap = tap_of(width, q, at.column);
        if (column_tap < 0) continue;
        const int64_t out = ((at.image * height.out + p) * width.out + q) * shape.channels + at.channel;
        if (argmax_at(argmax, out) == row_tap * width.window + column_tap) sum += wide(dy[out]);
      }
    }
    dx[i] = rounded<T>(sum);
  }
}

template <typename T>
__global__ void read_maxima(const T* x, Argmax argmax, T* y, Pool2dShape shape, int64_t count) {
  const WindowAxis height = shape.window.height, width = shape.window.width;
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const Place at = place_of(i, height.out, width.out, shape.channels);
    const int64_t tap = argmax_at(argmax, i);
    const int64_t row = at.row * height.stride - height.before + tap / width.window * height.dilation;
    const int64_t column = at.column * width.stride - width.before + tap % width.window * width.dilation;
    const bool inside =
        row >= 0 && row < height.size && column >= 0 && column < width.size;  // places come from outside
    y[i] = inside ? x[((at.image * height.size + row) * width.size + column) * shape.channels + at.channel] : T{};
  }
}

template <typename T>
__global__ void take_means(const T* x, T* y, Pool2dShape shape, int64_t count) {
  const WindowAxis height = shape.window.height, width = shape.window.width;
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const Place at = place_of(i, height.out, width.out, shape.channels);
    const Taps rows = taps_of(height, at.row), columns = taps_of(width, at.column);
    Wide<T> sum = 0;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const int64_t row = at.image * height.size + rows.first + r * height.dilation;
      for (int64_t c = columns.begin; c < columns.end; ++c) {
        sum += wide(x[(row * width.size + columns.first + c * width.dilation) * shape.channels + at.channel]);
      }
    }
    y[i] = rounded<T>(sum / Wide<T>((rows.end - rows.begin) * (columns.end - columns.begin)));
  }
}

template <typename T>
__global__ void spread_means(const T* dy, T* dx, Pool2dShape shape, int64_t count) {
  const WindowAxis height = shape.window.height, width = shape.window.width;
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const Place at = place_of(i, height.size, width.size, shape.channels);
    const Outputs rows = outputs_of(height, at.row), columns = outputs_of(width, at.column);
    Wide<T> sum = 0;
    for (int64_t p = rows.begin; p < rows.end; ++p) {
      if (tap_of(height, p, at.row) < 0) continue;
      const Taps down = taps_of(height, p);
      for (int64_t q = columns.begin; q < columns.end; ++q) {
        if (tap_of(width, q, at.column) < 0) continue;
        const Taps across = taps_of(width, q);
        const Wide<T> terms = Wide<T>((down.end - down.begin) * (across.end - across.begin));
        sum += wide(dy[((at.image * height.out + p) * width.out + q) * shape.channels + at.channel]) / terms;
      }
    }
    dx[i] = rounded<T>(sum);
  }
}

int64_t inputs_of(const Pool2dShape& s) { return s.images * s.window.height.size * s.window.width.size * s.channels; }
int64_t results_of(const Pool2dShape& s) { return s.images * s.window.height.out * s.window.width.out * s.channels; }

template <typename T>
void max_forward(const T* x, T* y, Argmax argmax, const Pool2dShape& shape) {
  const int64_t count = results_of(shape);
  if (count == 0) return;
  launch<take_maxima<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), x, y, argmax, shape, count);
}

template <typename T>
void max_backward(const T* dy, Argmax argmax, T* dx, const Pool2dShape& shape) {
  const int64_t count = inputs_of(shape);
  if (count == 0) return;
  launch<give_to_maxima<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), dy, argmax, dx, shape, count);
}

template <typename T>
void max_gather(const T* x, Argmax argmax, T* y, const Pool2dShape& shape) {
  const int64_t count = results_of(shape);
  if (count == 0) return;
  launch<read_maxima<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), x, argmax, y, shape, count);
}

template <typename T>
void avg_forward(const T* x, T* y, const Pool2dShape& shape) {
  const int64_t count = results_of(shape);
  if (count == 0) return;
  launch<take_means<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), x, y, shape, count);
}

template <typename T>
void avg_backward(const T* dy, T* dx, const Pool2dShape& shape) {
  const int64_t count = inputs_of(shape);
  if (count == 0) return;
  launch<spread_means<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), dy, dx, shape, count);
}

template <typename T>
constexpr Pool2dKernels<T> kKernels = {max_forward<T>, max_backward<T>, max_gather<T>, avg_forward<T>, avg_backward<T>};

}  // namespace

extern const PerType<Pool2dKernels> pool2d_kernels;
const PerType<Pool2dKernels> pool2d_kernels = {kKernels<float>, kKernels<double>, kKernels<Float16>,
                                               kKernels<BFloat16>};

}  // namespace RANVIER_GPU
}  // namespace ranvier
