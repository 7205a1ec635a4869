#include "ops/conv2d.h"

#include "cpu/conv2d/correlation.h"
#include "ops/gemm.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<GemmKernels> gemm_kernels;

namespace {

int64_t pixels_of(const Conv2dShape& shape) { return shape.images * shape.window.height.out * shape.window.width.out; }

// 1x1 kernels with stride 1: a product of matrices with a row per pixel.
bool is_pointwise(const Conv2dShape& shape) {
  const auto plain = [](const WindowAxis& axis) {
    return axis.window == 1 && axis.stride == 1 && axis.before == 0 && axis.out == axis.size;
  };
  return shape.groups == 1 && plain(shape.window.height) && plain(shape.window.width) && pixels_of(shape) > 0 &&
         shape.in_channels > 0 && shape.out_channels > 0;
}

template <typename T>
void multiply(GemmArguments<T> product, const T* a, int64_t lda, const T* b, int64_t ldb, T* c) {
  product.a = a;
  product.lda = lda;
  product.b = b;
  product.ldb = ldb;
  product.c = c;
  product.ldc = product.n;
  gemm_kernels.template get<T>().gemm(product);
}

template <typename T>
GemmArguments<T> product_of(int64_t m, int64_t n, int64_t k) {
  GemmArguments<T> product;
  product.m = m;
  product.n = n;
  product.k = k;
  return product;
}

template <typename T>
void forward(const T* x, const T* w, const T* bias, T* y, const Conv2dShape& shape, Activation activation) {
  if (is_pointwise(shape)) {
    GemmArguments<T> product = product_of<T>(pixels_of(shape), shape.out_channels, shape.in_channels);
    product.bias = bias;
    product.activation = activation;
    return multiply(product, x, shape.in_channels, w, shape.out_channels, y);
  }
  const WindowAxis &h = shape.window.height, &v = shape.window.width;
  const int64_t in = shape.in_channels / shape.groups, out = shape.out_channels / shape.groups;
  Correlation<T> c{};
  c.source = x;
  c.weights = w;
  c.bias = bias;
  c.output = y;
  c.activation = activation;
  c.images = shape.images;
  c.rows = {h.size, h.window, h.stride, h.dilation, h.before, h.out};
  c.columns = {v.size, v.window, v.stride, v.dilation, v.before, v.out};
  c.groups = shape.groups;
  c.winograd = shape.winograd;
  c.padding_counts = true;
  c.in_channels = in;
  c.out_channels = out;
  c.weight_strides = {v.window * in * shape.out_channels, in * shape.out_channels, shape.out_channels, 1, out};
  c.output_strides = {h.out * v.out * shape.out_channels, v.out * shape.out_channels, shape.out_channels};
  correlate(c);
}

// The inputs that share a remainder modulo the stride form a phase: each is a correlation with stride 1 of
// dy with every (stride / gcd)-th tap, rotated. Input h = start + j * stride sees the output
//   (h + before - tap * dilation) / stride   where that divides.
struct Phase {
  int64_t start;
  int64_t first_tap;
  int64_t tap_step;
  CorrelationAxis axis;
};

int64_t greatest_common_divisor(int64_t a, int64_t b) { return b == 0 ? a : greatest_common_divisor(b, a % b); }

Phase make_phase(const WindowAxis& w, int64_t start) {
  const int64_t common = greatest_common_divisor(w.stride, w.dilation);
  Phase phase{start, 0, w.stride / common, {w.out, 0, 1, w.dilation / common, 0, ceil_div(w.size - start, w.stride)}};
  const int64_t candidates = min_of(phase.tap_step, w.window);
  while (phase.first_tap < candidates && (start + w.before - phase.first_tap * w.dilation) % w.stride != 0) {
    ++phase.first_tap;
  }
  if (phase.first_tap == candidates) return phase;  // no tap: inputs that no output sees
  phase.axis.taps = ceil_div(w.window - phase.first_tap, phase.tap_step);
  const int64_t shift = (start + w.before - phase.first_tap * w.dilation) / w.stride;
  phase.axis.pad = (phase.axis.taps - 1) * phase.axis.dilation - shift;
  return phase;
}

// Also conv2d_transpose_forward, which is why there may be a bias.
template <typename T>
void input_gradient(const T* dy, const T* w, const T* bias, T* dx, const Conv2dShape& shape) {
  if (is_pointwise(shape)) {
    GemmArguments<T> product = product_of<T>(pixels_of(shape), shape.in_channels, shape.out_channels);
    product.transpose_b = true;
    product.bias = bias;
    return multiply(product, dy, shape.out_channels, w, shape.out_channels, dx);
  }
  const WindowAxis &h = shape.window.height, &v = shape.window.width;
  const int64_t in = shape.in_channels / shape.groups, out = shape.out_channels / shape.groups;
  const int64_t tap = in * shape.out_channels;  // elements of w
  Correlation<T> c{};
  c.source = dy;
  c.bias = bias;
  c.images = shape.images;
  c.groups = shape.groups;
  c.winograd = shape.winograd;
  c.in_channels = out;
  c.out_channels = in;
  const int64_t row = v.size * shape.in_channels;
  c.output_strides = {h.size * row, h.stride * row, v.stride * shape.in_channels};
  for (int64_t i = 0; i < min_of(h.stride, h.size); ++i) {
    const Phase rows = make_phase(h, i);
    for (int64_t j = 0; j < min_of(v.stride, v.size); ++j) {
      const Phase columns = make_phase(v, j);
      const int64_t last_row = rows.first_tap + (rows.axis.taps - 1) * rows.tap_step;
      const int64_t last_column = columns.first_tap + (columns.axis.taps - 1) * columns.tap_step;
      const bool any = rows.axis.taps > 0 && columns.axis.taps > 0;
      c.weights = any ? w + (last_row * v.window + last_column) * tap : w;
      c.weight_strides = {-rows.tap_step * v.window * tap, -columns.tap_step * tap, 1, shape.out_channels, out};
      c.rows = rows.axis;
      c.columns = columns.axis;
      c.output = dx + i * row + j * shape.in_channels;
      correlate(c);
    }
  }
}

template <typename T>
void gradient_of_kernel(const T* x, const T* dy, T* dw, const Conv2dShape& shape) {
  constexpr int64_t kSmall = 4096;  // fewer elements of dw than that are no product of matrices: all is in the sums
  if (!is_pointwise(shape) || shape.in_channels * shape.out_channels <= kSmall) {
    return kernel_gradient(x, dy, dw, shape);
  }
  GemmArguments<T> product = product_of<T>(shape.in_channels, shape.out_channels, pixels_of(shape));
  product.transpose_a = true;
  multiply(product, x, shape.in_channels, dy, shape.out_channels, dw);
}

}  // namespace

extern const PerType<Conv2dKernels> conv2d_kernels;
const PerType<Conv2dKernels> conv2d_kernels = {
    {forward<float>, input_gradient<float>, gradient_of_kernel<float>, conv2d_activation_gradient},
    {forward<double>, input_gradient<double>, gradient_of_kernel<double>, conv2d_activation_gradient},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
