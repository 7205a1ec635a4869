// 2-D convolution (cross-correlation) of NHWC images with HWIO kernels, and its two gradients.
//   y[n,p,q,o]    = bias[o] + sum_{i,j,c} x[n, p*s + i*d - top, q*s + j*d - left, c] * w[i,j,c,o]
//   dx[n,h,w,c]   = sum over the (p,q,i,j,o) that saw it of dy[n,p,q,o] * w[i,j,c,o]      (+ bias[c])
//   dw[i,j,c,o]   = sum_{n,p,q} x[n, p*s + i*d - top, q*s + j*d - left, c] * dy[n,p,q,o]
//   db[o]         = sum_{n,p,q} dy[n,p,q,o]
// An activation may follow y in the same pass; its gradient, in the same pass as db, comes before dx and dw.
// With groups, channels fall into that many blocks which do not see each other. The input gradient is
// also conv2d_transpose, which is why it takes a bias.
#pragma once

#include <cstdint>

#include "core/per_type.h"
#include "ops/activation.h"
#include "ops/window.h"

namespace ranvier {

struct Conv2dShape {
  int64_t images;
  int64_t in_channels;   // in all groups together
  int64_t out_channels;  // in all groups together
  int64_t groups;
  Window window;
  bool winograd;  // allowed, in float32, where the shape makes it pay
};

template <typename T>
struct Conv2dKernels {
  // bias may be null
  void (*forward)(const T* x, const T* w, const T* bias, T* y, const Conv2dShape& shape, Activation activation);
  void (*input_gradient)(const T* dy, const T* w, const T* bias, T* dx, const Conv2dShape& shape);
  void (*kernel_gradient)(const T* x, const T* dy, T* dw, const Conv2dShape& shape);
  // dz = dy * slope and db = sums of dz, each where not null; without dz, sums of dy. saved: see ops/activation.h.
  void (*activation_gradient)(Activation activation, const T* saved, const T* dy, T* dz, int64_t pixels,
                              int64_t channels, T* db);
};

}  // namespace ranvier
