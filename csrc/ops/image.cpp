#include "ops/image.h"

#include <optional>
#include <string>
#include <vector>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/binding.h"
#include "ops/embedding.h"

namespace ranvier {
namespace {

using Size = std::optional<Sizes>;  // (height, width)

constexpr int64_t kLargestSide = int64_t{1} << 31;  // places are float64, with room for fractions

FillMode named_fill_mode(const char* op, const std::string& name) {
  const char* names[] = {"constant", "grid-constant", "nearest", "reflect", "mirror", "wrap", "grid-wrap"};
  for (int i = 0; i < 7; ++i) {
    if (name == names[i]) return static_cast<FillMode>(i);
  }
  throw ValueError(message(op,
                           ": fill_mode must be 'constant', 'grid-constant', 'nearest', 'reflect', 'mirror', "
                           "'wrap' or 'grid-wrap' but is '",
                           name, "'"));
}

Interpolation named_interpolation(const char* op, const std::string& name) {
  if (name == "bilinear") return Interpolation::Bilinear;
  if (name == "nearest") return Interpolation::Nearest;
  if (name == "nearest_half_up") return Interpolation::NearestHalfUp;
  throw ValueError(
      message(op, ": interpolation must be 'bilinear', 'nearest' or 'nearest_half_up' but is '", name, "'"));
}

// The shape of images with another height and width.
Shape resized(const char* op, const char* name, const Array& images, const Size& size) {
  check_rank(op, name, images, 4);
  Shape shape = images.shape();
  if (!size) return shape;
  if (size->size() != 2) throw ValueError(message(op, ": size must be (height, width)"));
  shape[1] = (*size)[0];
  shape[2] = (*size)[1];
  element_count(shape);  // not negative, not too many
  return shape;
}

// From images of one shape to those of another.
ImageWarp checked_warp(const char* op, const Array& images, const Shape& from, const Shape& to, const Array& transforms,
                       const std::string& interpolation, const std::string& fill_mode, double fill_value,
                       double scale) {
  check_same_device(op, {{"images", images}, {"transform", transforms}});
  check_floating(op, "transform", transforms);
  check_rank(op, "transform", transforms, 2);
  const int64_t count = transforms.shape(0);
  if (transforms.shape(1) != 8 || (count != 1 && count != from[0])) {
    throw ValueError(message(op, ": transform must be ", from[0], "x8 or 1x8 for ", from[0], " images but is ",
                             shape_text(transforms.shape())));
  }
  for (const int64_t side : {from[1], from[2], to[1], to[2]}) {
    if (side >= kLargestSide) throw ValueError(message(op, ": images with a side of ", side, " are too large"));
  }
  if (element_count(from) == 0 && element_count(to) != 0) {
    throw ValueError(message(op, ": images without a pixel (shape ", shape_text(from), ") have nothing to show"));
  }
  return {from[0],
          from[1],
          from[2],
          from[3],
          to[1],
          to[2],
          count == 1,
          transforms.dtype() == DType::Float64,
          named_interpolation(op, interpolation),
          named_fill_mode(op, fill_mode),
          fill_value,
          scale};
}

DType result_dtype(const char* op, const Array& images, const std::optional<std::string>& dtype) {
  const DType from = images.dtype();
  if (from != DType::UInt8) check_floating(op, "images", images);
  const DType to = dtype ? dtype_argument(*dtype) : from;
  const bool widens = from == DType::UInt8 && (to == DType::Float32 || to == DType::Float64);
  if (to == from || widens) return to;
  throw TypeError(message(op, ": ", dtype_name(from), " images do not give ", dtype_name(to)));
}

// images (N, H, W, C), transform (N or 1, 8) -> (N, *size, C) of `dtype`, times `scale`.
Array affine_transform_forward(const Array& images, const Array& transform, const std::string& interpolation,
                               const std::string& fill_mode, double fill_value, const std::optional<std::string>& dtype,
                               double scale, const Size& size) {
  const char* op = "affine_transform";
  const Shape shape = resized(op, "images", images, size);
  const ImageWarp warp =
      checked_warp(op, images, images.shape(), shape, transform, interpolation, fill_mode, fill_value, scale);
  const DType to = result_dtype(op, images, dtype);
  Array y = Array::empty(shape, to, images.device());
  if (y.size() == 0) return y;
  dispatch_untyped(op, images, [=](const KernelTable& kernels) mutable {
    kernels.image.affine_transform_forward(images.dtype(), to, images.raw(), transform.raw(), y.raw(), warp);
  });
  return y;
}

// The gradient of images of `size`.
Array affine_transform_backward(const Array& dy, const Array& transform, const std::string& interpolation,
                                const std::string& fill_mode, const Size& size) {
  const char* op = "affine_transform gradient";
  check_floating(op, "dy", dy);
  const Shape shape = resized(op, "dy", dy, size);
  const ImageWarp warp = checked_warp(op, dy, shape, dy.shape(), transform, interpolation, fill_mode, 0, 1);
  Array dx = Array::empty(shape, dy.dtype(), dy.device());
  if (dx.size() == 0) return dx;
  dispatch_untyped(op, dy, [=](const KernelTable& kernels) mutable {
    kernels.image.affine_transform_backward(dy.dtype(), dy.raw(), transform.raw(), dx.raw(), warp);
  });
  return dx;
}

// What makes the pixels of one axis: first (to), int32, and weights (taps, to).
void check_axis(const char* op, const char* name, const Array& first, const Array& weights, const Array& images,
                int axis) {
  check_rank(op, "first", first, 1);
  check_dtype(op, "first", first, DType::Int32);
  check_rank(op, "weights", weights, 2);
  check_same_dtype(op, {{"images", images}, {"weights", weights}});
  check_same_device(op, {{"images", images}, {"first", first}, {"weights", weights}});
  const int64_t taps = weights.shape(0), size = images.shape(axis);
  if (weights.shape(1) != first.shape(0) || taps < 1) {
    throw ValueError(message(op, ": weights of ", name, " must be (taps, ", first.shape(0), ") but are ",
                             shape_text(weights.shape())));
  }
  run(op, [=]() {
    if (const auto outsider = find_outsider(op, first, 0, size - taps)) {
      throw ValueError(message(op, ": ", taps, " ", name, " from ", outsider->value, " on do not lie among ", size));
    }
  });
}

ResizeAxis axis_of(const Array& first, const Array& weights, int64_t from) {
  return {from, first.size(), weights.shape(0), first.data<int32_t>(), weights.raw()};
}

// images (N, H, W, C) -> (N, len(row_first), len(column_first), C)
Array resize_forward(const Array& images, const Array& row_first, const Array& row_weights, const Array& column_first,
                     const Array& column_weights) {
  const char* op = "resize";
  check_floating(op, "images", images);
  check_rank(op, "images", images, 4);
  check_axis(op, "rows", row_first, row_weights, images, 1);
  check_axis(op, "columns", column_first, column_weights, images, 2);
  Array y = Array::empty({images.shape(0), row_first.size(), column_first.size(), images.shape(3)}, images.dtype(),
                         images.device());
  if (y.size() == 0) return y;
  dispatch_untyped(op, images, [=](const KernelTable& kernels) mutable {
    kernels.image.resize_forward(images.dtype(), images.raw(), y.raw(),
                                 {images.shape(0), images.shape(3), axis_of(row_first, row_weights, images.shape(1)),
                                  axis_of(column_first, column_weights, images.shape(2))});
  });
  return y;
}

}  // namespace

void bind_image(py::module_& m) {
  m.def("affine_transform_forward", &affine_transform_forward, "images"_a, "transform"_a, "interpolation"_a,
        "fill_mode"_a, "fill_value"_a, "dtype"_a = py::none(), "scale"_a = 1.0, "size"_a = py::none(), releases_gil());
  m.def("affine_transform_backward", &affine_transform_backward, "dy"_a, "transform"_a, "interpolation"_a,
        "fill_mode"_a, "size"_a = py::none(), releases_gil());
  m.def("resize_forward", &resize_forward, "images"_a, "row_first"_a, "row_weights"_a, "column_first"_a,
        "column_weights"_a, releases_gil());
}

}  // namespace ranvier
