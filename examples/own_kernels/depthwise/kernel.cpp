// A depthwise convolution from outside the tree: each channel is filtered by itself, so the channels, which lie side by
// side in memory, are the vector (NHWC). Everything that is not depthwise goes to Ranvier's own kernel.
//   ranvier kernel test examples/own_kernels/depthwise
//   ranvier kernel bench examples/own_kernels/depthwise
#include "core/own_kernel.h"
#include "ops/conv2d.h"

namespace {

using ranvier::Activation;
using ranvier::Conv2dShape;

void (*builtin)(const float* x, const float* w, const float* bias, float* y, const Conv2dShape& shape, Activation);

// One output pixel of all channels.
void pixel(const float* image, const float* w, const float* bias, float* y, const Conv2dShape& s, int64_t p, int64_t q) {
  const auto &height = s.window.height, &width = s.window.width;
  const int64_t channels = s.in_channels;
  for (int64_t c = 0; c < channels; ++c) y[c] = bias != nullptr ? bias[c] : 0;
  for (int64_t i = 0; i < height.window; ++i) {
    const int64_t row = p * height.stride + i * height.dilation - height.before;
    if (row < 0 || row >= height.size) continue;
    for (int64_t j = 0; j < width.window; ++j) {
      const int64_t column = q * width.stride + j * width.dilation - width.before;
      if (column < 0 || column >= width.size) continue;
      const float* x = image + (row * width.size + column) * channels;
      const float* filter = w + (i * width.window + j) * channels;
      for (int64_t c = 0; c < channels; ++c) y[c] += x[c] * filter[c];
    }
  }
}

void my_forward(const float* x, const float* w, const float* bias, float* y, const Conv2dShape& s, Activation activation) {
  const bool depthwise = s.groups == s.in_channels && s.groups == s.out_channels;
  if (!depthwise || activation.kind != ranvier::ActivationKind::Linear) return builtin(x, w, bias, y, s, activation);
  const auto &height = s.window.height, &width = s.window.width;
  for (int64_t n = 0; n < s.images; ++n) {
    const float* image = x + n * height.size * width.size * s.in_channels;
    for (int64_t p = 0; p < height.out; ++p) {
      for (int64_t q = 0; q < width.out; ++q, y += s.out_channels) pixel(image, w, bias, y, s, p, q);
    }
  }
}

}  // namespace

RANVIER_KERNEL(conv2d, ranvier::PerType<ranvier::Conv2dKernels>) {
  builtin = kernels.f32.forward;
  kernels.f32.forward = my_forward;
}
