// Images seen through a transform of the plane: a thread for each pixel of the result; places in float64, in the order
// of operations of csrc/cpu/image.cpp and without fused ones (CMakeLists.txt), so that all devices agree about what
// lies outside the image.
#include "ops/image.h"

#include "cuda/launch.h"
#include "cuda/sort.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// A place inside the image (up to half a pixel or one beyond it, as the mode has it) for any place; NaN for none.
__device__ double inside(FillMode mode, double p, double last) {
  const double size = last + 1;
  switch (mode) {
    case FillMode::Constant: return p >= 0 && p <= last ? p : NAN;
    case FillMode::GridConstant: return p > -1 && p < size ? p : NAN;
    case FillMode::Nearest: return p < 0 ? 0 : p > last ? last : p;
    case FillMode::Reflect: {
      const double t = p + 0.5, rest = t - 2 * size * floor(t / (2 * size)), back = 2 * size - rest;
      return (rest < back ? rest : back) - 0.5;
    }
    case FillMode::Mirror: {
      if (last == 0) return 0;
      const double rest = p - 2 * last * floor(p / (2 * last)), back = 2 * last - rest;
      return rest < back ? rest : back;
    }
    case FillMode::Wrap:
      if (last == 0) return 0;
      return p < 0 ? p + last * (floor(-p / last) + 1) : p > last ? p - last * floor(p / last) : p;
    default: return p - size * floor(p / size);
  }
}

// The pixels on both sides of a place, -1 where that is the constant, and the weight of the one above.
struct Neighbours {
  int64_t low, high;
  double weight;
};

__device__ Neighbours neighbours_of(double place, int64_t size, const ImageWarp& w) {
  const double last = double(size - 1), p = inside(w.fill_mode, place, last);
  const bool bilinear = w.interpolation == Interpolation::Bilinear;
  double low = w.interpolation == Interpolation::Nearest ? rint(p) : floor(bilinear ? p : p + 0.5);
  double high = bilinear ? low + 1 : low;
  if (!(p >= -1 && p <= last + 1)) return {-1, -1, 0};  // NaN, or too far away to tell
  const double weight = p - low;
  const double beyond = w.fill_mode == FillMode::GridConstant ? -1 : w.fill_mode == FillMode::GridWrap ? 0 : last;
  const double before = w.fill_mode == FillMode::GridConstant ? -1 : 0;
  low = low > last ? beyond : low < 0 ? before : low;
  high = high > last ? beyond : high < 0 ? before : high;
  return {int64_t(low), int64_t(high), weight};
}

struct Corners {
  Neighbours row, column;
};

__device__ double coefficient(const void* transforms, int64_t at, bool wide) {
  return wide ? static_cast<const double*>(transforms)[at] : double(static_cast<const float*>(transforms)[at]);
}

// Where pixel i of all results (image, row, column) comes from.
__device__ Corners corners_of(int64_t i, const void* transforms, const ImageWarp& w) {
  const int64_t image = i / w.columns / w.rows;
  const double r = double(i / w.columns % w.rows), c = double(i % w.columns);
  double t[8];
  for (int k = 0; k < 8; ++k) t[k] = coefficient(transforms, (w.shared ? 0 : image * 8) + k, w.wide_transforms);
  double row = (t[5] + t[4] * r) + t[3] * c, column = (t[2] + t[1] * r) + t[0] * c;
  if (t[6] != 0 || t[7] != 0) {
    const double depth = (1 + t[7] * r) + t[6] * c;
    row /= depth;
    column /= depth;
  }
  return {neighbours_of(row, w.height, w), neighbours_of(column, w.width, w)};
}

// What a result is computed in: float64 where it goes there, else float32.
// clang-format off
template <typename To> struct Computes { typedef float Type; };
template <> struct Computes<double> { typedef double Type; };
// clang-format on

__device__ void put(float* y, float v) { *y = v; }
__device__ void put(double* y, double v) { *y = v; }
__device__ void put(uint8_t* y, float v) {
  const double r = rint(double(v));
  *y = uint8_t(r > 0 ? (r < 255 ? r : 255) : 0);
}

template <typename From, typename To>
__global__ void warp_pixels(const From* x, const void* transforms, To* y, const ImageWarp w) {
  typedef typename Computes<To>::Type T;
  const T fill = T(w.fill_value), scale = T(w.scale);
  for (int64_t i = grid_thread(); i < w.images * w.rows * w.columns; i += grid_threads()) {
    const Corners at = corners_of(i, transforms, w);
    const From* image = x + i / w.columns / w.rows * w.height * w.width * w.channels;
    const T down = T(at.row.weight), after = T(at.column.weight);
    for (int64_t j = 0; j < w.channels; ++j) {
      const auto pixel = [&](int64_t row, int64_t column) {
        return (row | column) < 0 ? fill : T(image[(row * w.width + column) * w.channels + j]);
      };
      T value = pixel(at.row.low, at.column.low);
      if (w.interpolation == Interpolation::Bilinear) {
        const T above = (1 - after) * value + after * pixel(at.row.low, at.column.high);
        const T below = (1 - after) * pixel(at.row.high, at.column.low) + after * pixel(at.row.high, at.column.high);
        value = (1 - down) * above + down * below;
      }
      put(y + i * w.channels + j, value * scale);
    }
  }
}

template <typename From, typename To>
void warp(const void* x, const void* transforms, void* y, const ImageWarp& w) {
  const int64_t pixels = w.images * w.rows * w.columns;
  if (pixels * w.channels == 0) return;
  launch<warp_pixels<From, To>>(grid_for(pixels), dim3(kThreads), 0, current_stream(), static_cast<const From*>(x),
                                transforms, static_cast<To*>(y), w);
}

void affine_transform_forward(DType from, DType to, const void* x, const void* transforms, void* y,
                              const ImageWarp& w) {
  if (from == DType::Float32) return warp<float, float>(x, transforms, y, w);
  if (from == DType::Float64) return warp<double, double>(x, transforms, y, w);
  if (to == DType::UInt8) return warp<uint8_t, uint8_t>(x, transforms, y, w);
  if (to == DType::Float32) return warp<uint8_t, float>(x, transforms, y, w);
  warp<uint8_t, double>(x, transforms, y, w);
}

// --- backward: each pixel of dy goes to up to four pixels of dx. Without float atomics: the shares are sorted by the
// pixel that they go to, and one thread for each pixel and channel adds up its own, in the order of dy. ---

constexpr uint64_t kNowhere = ~uint64_t{0};

// Share 4 i + corner of pixel i: its pixel of dx, and its weight.
struct Share {
  uint64_t target;
  double weight;
};
__device__ Share share_of(int64_t share, const ImageWarp& w, const Corners& at) {
  const int corner = int(share % 4);
  const bool bilinear = w.interpolation == Interpolation::Bilinear;
  if (!bilinear && corner > 0) return {kNowhere, 0};
  const int64_t row = corner / 2 != 0 ? at.row.high : at.row.low;
  const int64_t column = corner % 2 != 0 ? at.column.high : at.column.low;
  if ((row | column) < 0) return {kNowhere, 0};
  const int64_t image = share / 4 / w.columns / w.rows;
  const double down = corner / 2 != 0 ? at.row.weight : 1 - at.row.weight;
  const double after = corner % 2 != 0 ? at.column.weight : 1 - at.column.weight;
  return {uint64_t((image * w.height + row) * w.width + column), bilinear ? down * after : 1.0};
}

__global__ void list_shares(const void* transforms, KeyedIndex* items, const ImageWarp w) {
  for (int64_t i = grid_thread(); i < 4 * w.images * w.rows * w.columns; i += grid_threads()) {
    items[i] = {share_of(i, w, corners_of(i / 4, transforms, w)).target, i};
  }
}

template <typename T>
__global__ void fill_zeros(T* dx, int64_t n) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) dx[i] = T(0);
}

template <typename T>
__global__ void add_shares(const T* dy, const void* transforms, const KeyedIndex* items, T* dx, const ImageWarp w) {
  const int64_t shares = 4 * w.images * w.rows * w.columns;
  for (int64_t i = grid_thread(); i < shares * w.channels; i += grid_threads()) {
    const int64_t place = i / w.channels, channel = i % w.channels;
    const uint64_t target = items[place].key;
    if (target == kNowhere || (place > 0 && items[place - 1].key == target)) continue;
    T sum = 0;
    for (int64_t p = place; p < shares && items[p].key == target; ++p) {
      const int64_t share = items[p].index, pixel = share / 4;
      const T weight = T(share_of(share, w, corners_of(pixel, transforms, w)).weight);
      sum += weight * dy[pixel * w.channels + channel];
    }
    dx[int64_t(target) * w.channels + channel] = sum;
  }
}

template <typename T>
void scatter(const void* dy, const void* transforms, void* dx, const ImageWarp& w) {
  const int64_t size = w.images * w.height * w.width * w.channels, shares = 4 * w.images * w.rows * w.columns;
  void* stream = current_stream();
  if (size == 0) return;
  launch<fill_zeros<T>>(grid_for(size), dim3(kThreads), 0, stream, static_cast<T*>(dx), size);
  if (shares == 0) return;
  const Workspace sorted(static_cast<std::size_t>(padded_for_sort(shares)) * sizeof(KeyedIndex));
  KeyedIndex* items = sorted.as<KeyedIndex>();
  launch<list_shares>(grid_for(shares), dim3(kThreads), 0, stream, transforms, items, w);
  sort_keys(items, shares);
  launch<add_shares<T>>(grid_for(shares * w.channels), dim3(kThreads), 0, stream, static_cast<const T*>(dy), transforms,
                        static_cast<const KeyedIndex*>(items), static_cast<T*>(dx), w);
}

void affine_transform_backward(DType dtype, const void* dy, const void* transforms, void* dx, const ImageWarp& w) {
  if (dtype == DType::Float32) return scatter<float>(dy, transforms, dx, w);
  scatter<double>(dy, transforms, dx, w);
}

// One thread for each number of the result: the weighted sum along the rows for each of its columns, then along these.
template <typename T>
__global__ void weigh_pixels(const T* x, T* y, const ImageResize r) {
  const T* row_weights = static_cast<const T*>(r.rows.weights);
  const T* column_weights = static_cast<const T*>(r.columns.weights);
  const int64_t pitch = r.columns.from * r.channels;
  for (int64_t i = grid_thread(); i < r.images * r.rows.to * r.columns.to * r.channels; i += grid_threads()) {
    const int64_t channel = i % r.channels, column = i / r.channels % r.columns.to;
    const int64_t row = i / (r.channels * r.columns.to) % r.rows.to,
                  image = i / (r.channels * r.columns.to * r.rows.to);
    const T* from = x + (image * r.rows.from + r.rows.first[row]) * pitch + r.columns.first[column] * r.channels;
    T sum = 0;
    for (int64_t t = 0; t < r.columns.taps; ++t) {
      T above = 0;
      for (int64_t s = 0; s < r.rows.taps; ++s) {
        above += row_weights[s * r.rows.to + row] * from[s * pitch + t * r.channels + channel];
      }
      sum += column_weights[t * r.columns.to + column] * above;
    }
    y[i] = sum;
  }
}

void resize_forward(DType dtype, const void* x, void* y, const ImageResize& r) {
  const int64_t size = r.images * r.rows.to * r.columns.to * r.channels;
  if (dtype == DType::Float32) {
    return launch<weigh_pixels<float>>(grid_for(size), dim3(kThreads), 0, current_stream(),
                                       static_cast<const float*>(x), static_cast<float*>(y), r);
  }
  launch<weigh_pixels<double>>(grid_for(size), dim3(kThreads), 0, current_stream(), static_cast<const double*>(x),
                               static_cast<double*>(y), r);
}

}  // namespace

extern const ImageKernels image_kernels;
const ImageKernels image_kernels = {affine_transform_forward, affine_transform_backward, resize_forward};

}  // namespace RANVIER_GPU
}  // namespace ranvier
