// Convolution in three directions as matrix products whose operands are read out of images ("implicit GEMM", Chetlur et
// al. 2014: cuDNN): no matrix of patches is ever written.
//
//   forward           pixels of y  x  (taps, in channels)   times  (taps, in channels)  x  out channels
//   input gradient (and conv2d_transpose)
//                     pixels of x  x  (taps, out channels)  times  (taps, out channels) x  in channels
//   kernel gradient   (taps, in channels)  x  pixels of y   times  pixels of y  x  out channels
//
// Channels lie side by side in memory (NHWC, HWIO), and lanes go along them, wherever they are rows or columns. Groups
// are products of their own.
#include "ops/conv2d.h"

#include "core/dtype.h"
#include "cuda/activation_math.h"
#include "cuda/gemm_tiles.h"
#include "ops/reduce.h"

namespace ranvier {
namespace RANVIER_GPU {

extern const ReduceKernels reduce_kernels;

namespace {

// What all three know of the shape, `in` and `out` channels being those of a group.
struct Images {
  WindowAxis height, width;
  int64_t in, out, all_in, all_out;
};

Images images_of(const Conv2dShape& s) {
  return {s.window.height,           s.window.width, s.in_channels / s.groups,
          s.out_channels / s.groups, s.in_channels,  s.out_channels};
}

int64_t taps_of(const Images& s) { return s.height.window * s.width.window; }

struct Pixel {
  int64_t image, row, column;
};
__device__ Pixel pixel_of(int64_t i, int64_t height, int64_t width) {
  const int64_t row = i / width;
  return {row / height, row % height, i - row * width};
}

// Where output `out` sees an input through a tap, or -1.
__device__ int64_t input_at(const WindowAxis& axis, int64_t out, int64_t tap) {
  const int64_t at = out * axis.stride + tap * axis.dilation - axis.before;
  return at >= 0 && at < axis.size ? at : -1;
}
// Which output sees input `in` through a tap, or -1.
__device__ int64_t output_at(const WindowAxis& axis, int64_t in, int64_t tap) {
  const int64_t from = in + axis.before - tap * axis.dilation;
  if (from < 0 || from % axis.stride != 0) return -1;
  const int64_t out = from / axis.stride;
  return out < axis.out ? out : -1;
}

// Whether a group's channels are groups of 8 values that begin at multiples of 16 bytes (core_tiles.h).
template <typename T>
bool in_eights(const T* data, int64_t channels) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && channels % kEight == 0;
}

// x as (pixels of y) x (taps, channels).
template <typename T>
__device__ const T* patch_element(const T* x, const Images& s, int64_t group, int64_t pixel, int64_t tap,
                                  int64_t channel) {
  const Pixel at = pixel_of(pixel, s.height.out, s.width.out);
  const int64_t row = input_at(s.height, at.row, tap / s.width.window);
  const int64_t column = input_at(s.width, at.column, tap % s.width.window);
  if (row < 0 || column < 0) return nullptr;
  return x + ((at.image * s.height.size + row) * s.width.size + column) * s.all_in + group * s.in + channel;
}

// --- forward --------------------------------------------------------------------------------------------------------

template <typename T>
struct Patches {
  static constexpr bool kAlongP = true;
  const T* data;
  Images s;
  bool eights;
  __device__ const T* at(int64_t group, int64_t i, int64_t p) const {
    return patch_element(data, s, group, i, p / s.in, p % s.in);
  }
};

// Rows of output channels: the weights, or the gradients of the outputs.
template <typename T>
struct ByOutputs {
  static constexpr bool kAlongP = false;
  const T* data;
  Images s;
  bool eights;
  __device__ const T* at(int64_t group, int64_t j, int64_t p) const { return data + p * s.all_out + group * s.out + j; }
};

template <typename T>
struct StorePixels {
  T* y;
  int64_t channels, all_channels;
  const T* bias;
  Activation activation;
  __device__ void operator()(int64_t group, int64_t i, int64_t j, Wide<T> sum) const {
    const int64_t channel = group * channels + j;
    if (bias != nullptr) sum += wide(bias[channel]);
    y[i * all_channels + channel] = rounded<T>(activated(activation, sum));
  }
};

template <typename T>
void forward(const T* x, const T* w, const T* bias, T* y, const Conv2dShape& shape, Activation activation) {
  const Images s = images_of(shape);
  const int64_t pixels = shape.images * s.height.out * s.width.out;
  multiply<T>(ProductSizes{shape.groups, pixels, s.out, taps_of(s) * s.in}, Patches<T>{x, s, in_eights(x, s.in)},
              ByOutputs<T>{w, s, in_eights(w, s.out)}, StorePixels<T>{y, s.out, s.all_out, bias, activation});
}

// --- input gradient -------------------------------------------------------------------------------------------------

template <typename T>
struct SeenBy {
  static constexpr bool kAlongP = true;
  const T* data;
  Images s;
  bool eights;
  __device__ const T* at(int64_t group, int64_t i, int64_t p) const {
    const Pixel at = pixel_of(i, s.height.size, s.width.size);
    const int64_t tap = p / s.out, channel = p % s.out;
    const int64_t row = output_at(s.height, at.row, tap / s.width.window);
    const int64_t column = output_at(s.width, at.column, tap % s.width.window);
    if (row < 0 || column < 0) return nullptr;
    return data + ((at.image * s.height.out + row) * s.width.out + column) * s.all_out + group * s.out + channel;
  }
};

template <typename T>
struct TurnedWeights {
  static constexpr bool kAlongP = true;
  const T* data;
  Images s;
  bool eights;
  __device__ const T* at(int64_t group, int64_t j, int64_t p) const {
    return data + (p / s.out * s.in + j) * s.all_out + group * s.out + p % s.out;
  }
};

template <typename T>
void input_gradient(const T* dy, const T* w, const T* bias, T* dx, const Conv2dShape& shape) {
  const Images s = images_of(shape);
  const int64_t pixels = shape.images * s.height.size * s.width.size;
  multiply<T>(ProductSizes{shape.groups, pixels, s.in, taps_of(s) * s.out}, SeenBy<T>{dy, s, in_eights(dy, s.out)},
              TurnedWeights<T>{w, s, in_eights(w, s.out)},
              StorePixels<T>{dx, s.in, s.all_in, bias, Activation{ActivationKind::Linear, 0}});
}

// --- kernel gradient ------------------------------------------------------------------------------------------------

template <typename T>
struct TurnedPatches {
  static constexpr bool kAlongP = false;
  const T* data;
  Images s;
  bool eights;
  __device__ const T* at(int64_t group, int64_t i, int64_t p) const {
    return patch_element(data, s, group, p, i / s.in, i % s.in);
  }
};

template <typename T>
struct StoreWeights {
  T* dw;
  Images s;
  __device__ void operator()(int64_t group, int64_t i, int64_t j, Wide<T> sum) const {
    dw[i * s.all_out + group * s.out + j] = rounded<T>(sum);
  }
};

template <typename T>
void kernel_gradient(const T* x, const T* dy, T* dw, const Conv2dShape& shape) {
  const Images s = images_of(shape);
  const int64_t pixels = shape.images * s.height.out * s.width.out;
  multiply<T>(ProductSizes{shape.groups, taps_of(s) * s.in, s.out, pixels}, TurnedPatches<T>{x, s, in_eights(x, s.in)},
              ByOutputs<T>{dy, s, in_eights(dy, s.out)}, StoreWeights<T>{dw, s});
}

// --- what comes before the gradients --------------------------------------------------------------------------------

template <typename T>
__global__ void through_activation(Activation activation, const T* saved, const T* dy, T* dz, int64_t n) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) {
    dz[i] = rounded<T>(chained(activation, wide(saved[i]), wide(dy[i])));
  }
}

template <typename T>
void activation_gradient(Activation activation, const T* saved, const T* dy, T* dz, int64_t pixels, int64_t channels,
                         T* db) {
  if (dz != nullptr && pixels * channels > 0) {
    launch<through_activation<T>>(grid_for(pixels * channels), dim3(kThreads), 0, current_stream(), activation, saved,
                                  dy, dz, pixels * channels);
  }
  if (db == nullptr) return;
  reduce_kernels.reduce(Reduction::Sum, DTypeOf<T>::value, dz != nullptr ? dz : dy, db, {1, pixels, channels});
}

}  // namespace

extern const PerType<Conv2dKernels> conv2d_kernels;
const PerType<Conv2dKernels> conv2d_kernels = {
    {forward<float>, input_gradient<float>, kernel_gradient<float>, activation_gradient<float>},
    {forward<double>, input_gradient<double>, kernel_gradient<double>, activation_gradient<double>},
    {forward<Float16>, input_gradient<Float16>, kernel_gradient<Float16>, activation_gradient<Float16>},
    {forward<BFloat16>, input_gradient<BFloat16>, kernel_gradient<BFloat16>, activation_gradient<BFloat16>},
};

}  // namespace RANVIER_GPU
}  // namespace ranvier
