#include "ops/pool2d.h"

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/binding.h"
#include "ops/reduce.h"
#include "ops/sliding_window.h"
#include "tape/direct.h"

namespace ranvier {
namespace {

constexpr int64_t kMaxNarrowWindow = 255;

Pool2dShape pool_shape(const char* op, const Shape& inputs, const Sides& pool_size, const Sides& strides,
                       const Padding& padding) {
  return {inputs[0], inputs[3],
          sliding_window(op, "pool", {inputs[1], inputs[2]}, pool_size, strides, padding, {1, 1})};
}

void check_image(const char* op, const char* name, const Array& array) {
  check_storage(op, name, array);
  check_rank(op, name, array, 4);
}

Shape pooled(const Pool2dShape& shape) {
  return {shape.images, shape.window.height.out, shape.window.width.out, shape.channels};
}

// A window that lies in padding altogether has no maximum and no mean.
void check_covered(const char* op, const WindowAxis& axis, const char* side) {
  if (axis.out == 0) return;
  const int64_t last = (axis.out - 1) * axis.stride - axis.before;
  if (axis.size > 0 && axis.before < axis.window && last < axis.size) return;
  throw ValueError(message(op, ": padding leaves a window of ", side, " ", axis.window, " without any input"));
}

Pool2dShape checked_shape(const char* op, const Shape& inputs, const Sides& pool_size, const Sides& strides,
                          const Padding& padding) {
  const Pool2dShape shape = pool_shape(op, inputs, pool_size, strides, padding);
  check_covered(op, shape.window.height, "height");
  check_covered(op, shape.window.width, "width");
  return shape;
}

DType argmax_dtype(const Pool2dShape& shape) {
  const int64_t height = shape.window.height.window, width = shape.window.width.window;
  if (height * width <= kMaxNarrowWindow) return DType::UInt8;
  if (height * width < (int64_t{1} << 31)) return DType::Int32;
  throw ValueError(message("max_pool2d: a window of ", height, "x", width, " has more than 2147483647 elements"));
}

Argmax places_of(const Array& argmax) { return {const_cast<void*>(argmax.raw()), argmax.dtype() == DType::Int32}; }

// One window over the whole image: a reduction of its pixels. (outer, columns, inner) as for the reduce kernels.
bool covers(const WindowAxis& axis) {
  return axis.out == 1 && axis.before >= 0 && axis.window - axis.before >= axis.size;
}
bool is_global(const Pool2dShape& shape) { return covers(shape.window.height) && covers(shape.window.width); }

Rows pixels_of(const Pool2dShape& shape) {
  return {shape.images, shape.window.height.size * shape.window.width.size, shape.channels};
}

// y, and where its values were found (None unless asked for).
std::pair<Array, std::optional<Array>> max_pool2d_forward(const Array& inputs, const Sides& pool_size,
                                                          const Sides& strides, const Padding& padding,
                                                          bool with_argmax) {
  const char* op = "max_pool2d";
  check_image(op, "inputs", inputs);
  const Pool2dShape shape = checked_shape(op, inputs.shape(), pool_size, strides, padding);
  const DType place = argmax_dtype(shape);
  Array y = Array::empty(pooled(shape), inputs.dtype(), inputs.device());
  std::optional<Array> argmax;
  if (with_argmax) argmax = Array::empty(pooled(shape), place, inputs.device());
  dispatch_narrow(op, inputs, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    if (!argmax && is_global(shape)) {
      return kernels.reduce.reduce(Reduction::Max, y.dtype(), inputs.raw(), y.raw(), pixels_of(shape));
    }
    kernels.pool2d.template get<T>().max_pool2d_forward(
        inputs.data<T>(), y.data<T>(), argmax ? places_of(*argmax) : Argmax{nullptr, place == DType::Int32}, shape);
  });
  return {y, argmax};
}

void check_argmax(const char* op, const Array& argmax, const Pool2dShape& shape) {
  check_dtype(op, "argmax", argmax, argmax_dtype(shape));
  check_shape(op, "argmax", argmax, pooled(shape));
}

Array max_pool2d_backward(const Array& dy, const Array& argmax, const Sides& input_size, const Sides& pool_size,
                          const Sides& strides, const Padding& padding) {
  const char* op = "max_pool2d gradient";
  check_image(op, "dy", dy);
  check_same_device(op, {{"dy", dy}, {"argmax", argmax}});
  if (input_size.size() != 2) throw ValueError(message(op, ": input_size must be (height, width)"));
  const Shape inputs{dy.shape(0), input_size[0], input_size[1], dy.shape(3)};
  Array dx = Array::empty(inputs, dy.dtype(), dy.device());
  const Pool2dShape shape = checked_shape(op, inputs, pool_size, strides, padding);
  check_shape(op, "dy", dy, pooled(shape));
  check_argmax(op, argmax, shape);
  dispatch_narrow(op, dy, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.pool2d.template get<T>().max_pool2d_backward(dy.data<T>(), places_of(argmax), dx.data<T>(), shape);
  });
  return dx;
}

// The values of x where the maxima were: the gradient of max_pool2d_backward.
Array max_pool2d_gather(const Array& x, const Array& argmax, const Sides& pool_size, const Sides& strides,
                        const Padding& padding) {
  const char* op = "max_pool2d gather";
  check_image(op, "x", x);
  check_same_device(op, {{"x", x}, {"argmax", argmax}});
  const Pool2dShape shape = checked_shape(op, x.shape(), pool_size, strides, padding);
  check_argmax(op, argmax, shape);
  Array y = Array::empty(pooled(shape), x.dtype(), x.device());
  dispatch_narrow(op, x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.pool2d.template get<T>().max_pool2d_gather(x.data<T>(), places_of(argmax), y.data<T>(), shape);
  });
  return y;
}

Array avg_pool2d_forward(const Array& inputs, const Sides& pool_size, const Sides& strides, const Padding& padding) {
  const char* op = "avg_pool2d";
  check_image(op, "inputs", inputs);
  const Pool2dShape shape = checked_shape(op, inputs.shape(), pool_size, strides, padding);
  Array y = Array::empty(pooled(shape), inputs.dtype(), inputs.device());
  dispatch_narrow(op, inputs, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    if (is_global(shape) && !is_narrow(y.dtype())) {  // which would round the sum, too
      const Rows pixels = pixels_of(shape);
      kernels.reduce.reduce(Reduction::Sum, y.dtype(), inputs.raw(), y.raw(), pixels);
      return kernels.reduce.mean_of_sum(y.dtype(), y.raw(), y.size(), static_cast<double>(pixels.columns));
    }
    kernels.pool2d.template get<T>().avg_pool2d_forward(inputs.data<T>(), y.data<T>(), shape);
  });
  return y;
}

Array avg_pool2d_backward(const Array& dy, const Sides& input_size, const Sides& pool_size, const Sides& strides,
                          const Padding& padding) {
  const char* op = "avg_pool2d gradient";
  check_image(op, "dy", dy);
  if (input_size.size() != 2) throw ValueError(message(op, ": input_size must be (height, width)"));
  const Shape inputs{dy.shape(0), input_size[0], input_size[1], dy.shape(3)};
  Array dx = Array::empty(inputs, dy.dtype(), dy.device());
  const Pool2dShape shape = checked_shape(op, inputs, pool_size, strides, padding);
  check_shape(op, "dy", dy, pooled(shape));
  dispatch_narrow(op, dy, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.pool2d.template get<T>().avg_pool2d_backward(dy.data<T>(), dx.data<T>(), shape);
  });
  return dx;
}

// --- the direct ways: the ops' own parameters, without places ----------------------------------------------------

Array max_pool2d_values(const Array& inputs, const Sides& pool_size, const Sides& strides, const Padding& padding) {
  return max_pool2d_forward(inputs, pool_size, strides, padding, false).first;
}

using Pool = Array (*)(const Array&, const Sides&, const Sides&, const Padding&);

Sides both(const Sides& sides) { return sides.size() == 1 ? Sides{sides[0], sides[0]} : sides; }

void add_pool(const char* name, Pool pool) {
  add_direct(name, [pool](const Array& inputs, const Sides& pool_size, const std::optional<Sides>& strides,
                          const std::string& padding) {
    return pool(inputs, both(pool_size), both(strides.value_or(pool_size)), padding);
  });
  add_direct(message("global_", name), [name, pool](const Array& inputs, bool keepdims) {
    check_image(name, "inputs", inputs);
    const Sides image{inputs.shape(1), inputs.shape(2)};
    const Array y = pool(inputs, image, image, "valid");
    return keepdims ? y : y.reshape({y.shape(0), y.shape(3)});
  });
}

}  // namespace

void bind_pool2d(py::module_& m) {
  m.def("max_pool2d_forward", &max_pool2d_forward, "inputs"_a, "pool_size"_a, "strides"_a, "padding"_a,
        "with_argmax"_a = true, releases_gil());
  m.def("max_pool2d_backward", &max_pool2d_backward, "dy"_a, "argmax"_a, "input_size"_a, "pool_size"_a, "strides"_a,
        "padding"_a, releases_gil());
  m.def("max_pool2d_gather", &max_pool2d_gather, "x"_a, "argmax"_a, "pool_size"_a, "strides"_a, "padding"_a,
        releases_gil());
  m.def("avg_pool2d_forward", &avg_pool2d_forward, "inputs"_a, "pool_size"_a, "strides"_a, "padding"_a, releases_gil());
  m.def("avg_pool2d_backward", &avg_pool2d_backward, "dy"_a, "input_size"_a, "pool_size"_a, "strides"_a, "padding"_a,
        releases_gil());
  add_pool("max_pool2d", &max_pool2d_values);
  add_pool("avg_pool2d", &avg_pool2d_forward);
}

}  // namespace ranvier
