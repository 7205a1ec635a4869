#include <math.h>

#include "cpu/image/resize.h"
#include "cpu/row.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

constexpr int64_t kTile = 128;  // pixels of a row whose places are found before any is read

struct Axis {
  double place[kTile];
  int32_t low[kTile], high[kTile];  // the pixels on both sides, -1 where that is the constant
  double weight[kTile];             // of the pixel above
};

struct Tile {
  Axis row, column;
};

// A place inside the image (up to half a pixel or one beyond it, as the mode has it) for any place; NaN for none.
template <FillMode kMode>
RANVIER_INLINE double inside(double p, double last) {
  const double size = last + 1;
  switch (kMode) {
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
    case FillMode::Wrap: {
      if (last == 0) return 0;
      return p < 0 ? p + last * (floor(-p / last) + 1) : p > last ? p - last * floor(p / last) : p;
    }
    default: return p - size * floor(p / size);
  }
}

template <FillMode kMode, Interpolation kInterpolation>
void find_neighbours(Axis& axis, int64_t count, int64_t size) {
  const double last = static_cast<double>(size - 1);
  constexpr bool kBilinear = kInterpolation == Interpolation::Bilinear;
  for (int64_t i = 0; i < count; ++i) {
    const double p = inside<kMode>(axis.place[i], last);
    double low = kInterpolation == Interpolation::Nearest ? rint(p) : floor(kBilinear ? p : p + 0.5);
    double high = kBilinear ? low + 1 : low;
    axis.weight[i] = p >= -1 && p <= last + 1 ? p - low : 0;
    // What is NaN, or too far away to tell, becomes -1 here.
    const double beyond = kMode == FillMode::GridConstant ? -1 : kMode == FillMode::GridWrap ? 0 : last;
    const double before = kMode == FillMode::GridConstant ? -1 : 0;
    low = low > last ? beyond : low < 0 ? before : low;
    high = high > last ? beyond : high < 0 ? before : high;
    axis.low[i] = static_cast<int32_t>(p >= -1 && p <= last + 1 ? low : -1);
    axis.high[i] = static_cast<int32_t>(p >= -1 && p <= last + 1 ? high : -1);
  }
}

template <FillMode kMode>
void find_neighbours(Axis& axis, int64_t count, int64_t size, Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::Bilinear: return find_neighbours<kMode, Interpolation::Bilinear>(axis, count, size);
    case Interpolation::Nearest: return find_neighbours<kMode, Interpolation::Nearest>(axis, count, size);
    case Interpolation::NearestHalfUp: return find_neighbours<kMode, Interpolation::NearestHalfUp>(axis, count, size);
  }
}

void find_neighbours(Axis& axis, int64_t count, int64_t size, const ImageWarp& w) {
  switch (w.fill_mode) {
    case FillMode::Constant: return find_neighbours<FillMode::Constant>(axis, count, size, w.interpolation);
    case FillMode::GridConstant: return find_neighbours<FillMode::GridConstant>(axis, count, size, w.interpolation);
    case FillMode::Nearest: return find_neighbours<FillMode::Nearest>(axis, count, size, w.interpolation);
    case FillMode::Reflect: return find_neighbours<FillMode::Reflect>(axis, count, size, w.interpolation);
    case FillMode::Mirror: return find_neighbours<FillMode::Mirror>(axis, count, size, w.interpolation);
    case FillMode::Wrap: return find_neighbours<FillMode::Wrap>(axis, count, size, w.interpolation);
    case FillMode::GridWrap: return find_neighbours<FillMode::GridWrap>(axis, count, size, w.interpolation);
  }
}

// Where the pixels (row, begin..begin+count) of an image come from.
void find_places(Tile& tile, const void* transforms, int64_t image, int64_t row, int64_t begin, int64_t count,
                 const ImageWarp& w) {
  double t[8];
  for (int i = 0; i < 8; ++i) {
    const int64_t at = (w.shared ? 0 : image * 8) + i;
    t[i] = w.wide_transforms ? static_cast<const double*>(transforms)[at] : static_cast<const float*>(transforms)[at];
  }
  const double r = static_cast<double>(row), x = t[2] + t[1] * r, y = t[5] + t[4] * r, k = 1 + t[7] * r;
  for (int64_t i = 0; i < count; ++i) {
    const double c = static_cast<double>(begin + i);
    tile.row.place[i] = y + t[3] * c;
    tile.column.place[i] = x + t[0] * c;
  }
  if (t[6] != 0 || t[7] != 0) {
    for (int64_t i = 0; i < count; ++i) {
      const double depth = k + t[6] * static_cast<double>(begin + i);
      tile.row.place[i] /= depth;
      tile.column.place[i] /= depth;
    }
  }
  find_neighbours(tile.row, count, w.height, w);
  find_neighbours(tile.column, count, w.width, w);
}

// What a result is computed in: float64 where it goes there, else float32.
// clang-format off
template <typename To> struct Computes { typedef float Type; };
template <> struct Computes<double> { typedef double Type; };
// clang-format on

template <typename T>
RANVIER_INLINE T rounded(double v) {
  return static_cast<T>(v);
}
template <>
RANVIER_INLINE uint8_t rounded<uint8_t>(double v) {
  const double r = rint(v);
  return static_cast<uint8_t>(r > 0 ? (r < 255 ? r : 255) : 0);
}

// Four neighbouring numbers: the channels of a pixel, and of three the first of the next pixel.
template <typename T>
struct Four {
  typedef T Type __attribute__((vector_size(4 * sizeof(T))));
};

template <typename T, typename From>
RANVIER_INLINE typename Four<T>::Type load_four(const From* p) {
  typename Four<From>::Type v;
  memcpy(&v, p, sizeof(v));
  return __builtin_convertvector(v, typename Four<T>::Type);
}

#if defined(__AVX2__)  // GCC widens bytes one by one
template <>
RANVIER_INLINE Four<float>::Type load_four<float, uint8_t>(const uint8_t* p) {
  int32_t bytes;
  memcpy(&bytes, p, sizeof(bytes));
  return (Four<float>::Type)_mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes)));
}
template <>
RANVIER_INLINE Four<double>::Type load_four<double, uint8_t>(const uint8_t* p) {
  int32_t bytes;
  memcpy(&bytes, p, sizeof(bytes));
  return (Four<double>::Type)_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes)));
}
#endif

// One pixel, any number of channels, any of its neighbours the constant.
template <typename From, typename To, typename T>
void warp_pixel(const From* x, To* y, const Tile& tile, int64_t i, const ImageWarp& w, T down, T after) {
  const int64_t top = tile.row.low[i], bottom = tile.row.high[i], left = tile.column.low[i],
                right = tile.column.high[i];
  const T fill = static_cast<T>(w.fill_value), scale = static_cast<T>(w.scale);
  for (int64_t j = 0; j < w.channels; ++j) {
    const auto at = [&](int64_t row, int64_t column) RANVIER_INLINED {
      return (row | column) < 0 ? fill : static_cast<T>(x[(row * w.width + column) * w.channels + j]);
    };
    const T above = (1 - after) * at(top, left) + after * at(top, right);
    const T below = (1 - after) * at(bottom, left) + after * at(bottom, right);
    y[j] = rounded<To>(((1 - down) * above + down * below) * scale);
  }
}

template <typename From, typename To>
void warp_nearest(const From* x, To* y, const Tile& tile, int64_t count, const ImageWarp& w) {
  typedef typename Computes<To>::Type T;
  const T fill = static_cast<T>(w.fill_value), scale = static_cast<T>(w.scale);
  for (int64_t i = 0; i < count; ++i, y += w.channels) {
    const int64_t row = tile.row.low[i], column = tile.column.low[i];
    const From* from = x + (row * w.width + column) * w.channels;
    const bool outside = (row | column) < 0;
    for (int64_t j = 0; j < w.channels; ++j) y[j] = rounded<To>((outside ? fill : static_cast<T>(from[j])) * scale);
  }
}

// Three or four channels: a pixel is one vector. The fourth lane of three is the next pixel's, which is written
// later; so the last pixel of a tile, and what is made of the image's last one, go one by one.
template <typename From, typename T, int kChannels>
void warp_pixels(const From* x, T* y, const Tile& tile, int64_t count, const ImageWarp& w) {
  const int64_t pitch = w.width * kChannels, end = (w.height * w.width - 1) * kChannels;
  for (int64_t i = 0; i < count; ++i, y += kChannels) {
    const int64_t top = tile.row.low[i], bottom = tile.row.high[i];
    const int64_t left = tile.column.low[i], right = tile.column.high[i];
    const T down = static_cast<T>(tile.row.weight[i]), after = static_cast<T>(tile.column.weight[i]);
    // Where places wrap around, the last row may be above and the first below.
    const int64_t furthest = max_of(top, bottom) * pitch + max_of(left, right) * kChannels;
    const bool alone = kChannels == 3 && (i + 1 == count || furthest >= end);
    if ((top | bottom | left | right) < 0 || alone) {
      warp_pixel(x, y, tile, i, w, down, after);
      continue;
    }
    const From *a = x + top * pitch, *b = x + bottom * pitch;
    const T before = 1 - after, up = 1 - down;
    const auto above = before * load_four<T>(a + left * kChannels) + after * load_four<T>(a + right * kChannels);
    const auto below = before * load_four<T>(b + left * kChannels) + after * load_four<T>(b + right * kChannels);
    const auto v = (up * above + down * below) * static_cast<T>(w.scale);
    memcpy(y, &v, sizeof(v));
  }
}

template <typename From, typename To>
void warp_tile(const From* x, To* y, const Tile& tile, int64_t count, const ImageWarp& w) {
  typedef typename Computes<To>::Type T;
  if (w.interpolation != Interpolation::Bilinear) return warp_nearest(x, y, tile, count, w);
  if constexpr (sizeof(To) == sizeof(T)) {  // not uint8
    if (w.channels == 3) return warp_pixels<From, To, 3>(x, y, tile, count, w);
    if (w.channels == 4) return warp_pixels<From, To, 4>(x, y, tile, count, w);
  }
  for (int64_t i = 0; i < count; ++i) {
    const T down = static_cast<T>(tile.row.weight[i]), after = static_cast<T>(tile.column.weight[i]);
    warp_pixel(x, y + i * w.channels, tile, i, w, down, after);
  }
}

template <typename From, typename To>
void warp(const void* from, const void* transforms, void* to, const ImageWarp& w) {
  parallel(0, w.images * w.rows, grain_for(w.columns * (w.channels + 8)), [&](int64_t begin, int64_t end) {
    Tile tile;
    for (int64_t line = begin; line < end; ++line) {
      const int64_t image = line / w.rows, row = line % w.rows;
      const From* x = static_cast<const From*>(from) + image * w.height * w.width * w.channels;
      To* y = static_cast<To*>(to) + line * w.columns * w.channels;
      for (int64_t column = 0; column < w.columns; column += kTile) {
        const int64_t count = min_of(kTile, w.columns - column);
        find_places(tile, transforms, image, row, column, count, w);
        warp_tile(x, y + column * w.channels, tile, count, w);
      }
    }
  });
}

void affine_transform_forward(DType from, DType to, const void* x, const void* transforms, void* y,
                              const ImageWarp& w) {
  if (from == DType::Float32) return warp<float, float>(x, transforms, y, w);
  if (from == DType::Float64) return warp<double, double>(x, transforms, y, w);
  if (to == DType::UInt8) return warp<uint8_t, uint8_t>(x, transforms, y, w);
  if (to == DType::Float32) return warp<uint8_t, float>(x, transforms, y, w);
  warp<uint8_t, double>(x, transforms, y, w);
}

template <typename T>
void scatter_tile(const T* dy, T* dx, const Tile& tile, int64_t count, const ImageWarp& w) {
  for (int64_t i = 0; i < count; ++i, dy += w.channels) {
    const T down = static_cast<T>(tile.row.weight[i]), after = static_cast<T>(tile.column.weight[i]);
    const auto add = [&](int64_t row, int64_t column, T weight) RANVIER_INLINED {
      if ((row | column) < 0) return;
      T* to = dx + (row * w.width + column) * w.channels;
      for (int64_t j = 0; j < w.channels; ++j) to[j] += weight * dy[j];
    };
    const int64_t top = tile.row.low[i], bottom = tile.row.high[i];
    const int64_t left = tile.column.low[i], right = tile.column.high[i];
    if (w.interpolation != Interpolation::Bilinear) {
      add(top, left, 1);
      continue;
    }
    add(top, left, (1 - down) * (1 - after));
    add(top, right, (1 - down) * after);
    add(bottom, left, down * (1 - after));
    add(bottom, right, down * after);
  }
}

template <typename T>
void scatter(const void* from, const void* transforms, void* to, const ImageWarp& w) {
  const int64_t size = w.height * w.width * w.channels;
  parallel(0, w.images, 1, [&](int64_t begin, int64_t end) {
    Tile tile;
    for (int64_t image = begin; image < end; ++image) {
      T* dx = static_cast<T*>(to) + image * size;
      memset(dx, 0, sizeof(T) * static_cast<size_t>(size));
      for (int64_t row = 0; row < w.rows; ++row) {
        const T* dy = static_cast<const T*>(from) + (image * w.rows + row) * w.columns * w.channels;
        for (int64_t column = 0; column < w.columns; column += kTile) {
          const int64_t count = min_of(kTile, w.columns - column);
          find_places(tile, transforms, image, row, column, count, w);
          scatter_tile(dy + column * w.channels, dx, tile, count, w);
        }
      }
    }
  });
}

void affine_transform_backward(DType dtype, const void* dy, const void* transforms, void* dx, const ImageWarp& w) {
  if (dtype == DType::Float32) return scatter<float>(dy, transforms, dx, w);
  scatter<double>(dy, transforms, dx, w);
}

}  // namespace

extern const ImageKernels image_kernels;
const ImageKernels image_kernels = {affine_transform_forward, affine_transform_backward, resize_forward};

}  // namespace RANVIER_ISA
}  // namespace ranvier
