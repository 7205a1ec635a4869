// Images seen through a transform of the plane, and images of another size.
//   affine_transform  y[n, r, c, :] = x[n] at (b0 c + b1 r + b2, a0 c + a1 r + a2) / (c0 c + c1 r + 1)
// with transforms (a0, a1, a2, b0, b1, b2, c0, c1), as in TensorFlow and Keras. Places are computed in float64, in that
// order of operations, without fused ones: so that every instruction set agrees with the reference about what lies
// outside the image.
//   resize            y[n, r, c, :] = sum over s, t of u[s, r] v[t, c] x[n, row[r] + s, column[c] + t, :]
// a few weights u and v for each row and column of the result, found by the caller. What takes pixels apart in this way
// puts them together in the opposite direction: the gradient is another resize, by the transposed weights.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace ranvier {

// What lies outside the image (a b c d), by SciPy's names.
enum class FillMode : int {
  Constant,      // k k | a b c d | k k   nothing is interpolated between the image and the constant
  GridConstant,  // k k | a b c d | k k   pixels of the constant
  Nearest,       // a a | a b c d | d d
  Reflect,       // b a | a b c d | d c
  Mirror,        // c b | a b c d | c b
  Wrap,          // b c | a b c d | b c   the period is one less than the size
  GridWrap,      // c d | a b c d | a b
};

enum class Interpolation : int {
  Bilinear,
  Nearest,        // ties to even
  NearestHalfUp,  // ties upwards, as in SciPy
};

struct ImageWarp {
  int64_t images, height, width, channels;
  int64_t rows, columns;  // of the result
  bool shared;            // one transform for all images
  bool wide_transforms;   // float64, else float32
  Interpolation interpolation;
  FillMode fill_mode;
  double fill_value;
  double scale;  // of the result
};

struct ResizeAxis {
  int64_t from, to, taps;
  const int32_t* first;  // (to): the first of the `taps` pixels that each pixel is made of
  const void* weights;   // (taps, to), of the images' dtype
};

struct ImageResize {
  int64_t images, channels;
  ResizeAxis rows, columns;
};

struct ImageKernels {
  // uint8 -> uint8 (rounded), float32 or float64; float32 and float64 -> the same. Transforms (images or 1, 8).
  void (*affine_transform_forward)(DType from, DType to, const void* x, const void* transforms, void* y,
                                   const ImageWarp& warp);
  // dx: each pixel of dy, shared among the pixels that it was made of. One thread per image: the order is fixed.
  void (*affine_transform_backward)(DType dtype, const void* dy, const void* transforms, void* dx,
                                    const ImageWarp& warp);
  // float32 and float64.
  void (*resize_forward)(DType dtype, const void* x, void* y, const ImageResize& resize);
};

}  // namespace ranvier
