// Maximum and average pooling of NHWC images, and their gradients.
//   max_pool2d  y[n,p,q,c] = max over the window of x;  dx: dy goes to the first maximum in window order
//   avg_pool2d  y[n,p,q,c] = mean over the part of the window that lies in the image;  dx: dy / that count
// A NaN in a window is its maximum (the first one, if there are several).
#pragma once

#include <cstdint>

#include "core/per_type.h"
#include "ops/window.h"

namespace ranvier {

struct Pool2dShape {
  int64_t images;
  int64_t channels;
  Window window;
};

// Where the maximum was: its place in the window, row * width + column. One byte where that fits.
struct Argmax {
  void* places;
  bool wide;  // int32 instead of uint8
};

template <typename T>
struct Pool2dKernels {
  void (*max_pool2d_forward)(const T* x, T* y, Argmax argmax, const Pool2dShape& shape);  // places may be null
  void (*max_pool2d_backward)(const T* dy, Argmax argmax, T* dx, const Pool2dShape& shape);
  void (*max_pool2d_gather)(const T* x, Argmax argmax, T* y, const Pool2dShape& shape);  // y = x at the places
  void (*avg_pool2d_forward)(const T* x, T* y, const Pool2dShape& shape);
  void (*avg_pool2d_backward)(const T* dy, T* dx, const Pool2dShape& shape);
};

}  // namespace ranvier
