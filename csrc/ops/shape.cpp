#include "ops/shape.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/binding.h"
#include "ops/embedding.h"
#include "tape/direct.h"

namespace ranvier {
namespace {

using Strides = Sizes;

Strides row_strides(const Shape& shape) {
  Strides strides(shape.size());
  int64_t step = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

void set_axis(CopyPlan& plan, int i, int64_t size, int64_t from, int64_t to) {
  plan.shape[i] = size;
  plan.from[i] = from;
  plan.to[i] = to;
}

// Drops axes of length one and joins neighbours that one stride walks; at least two are left.
CopyPlan joined_axes(const char* op, const Shape& shape, const Strides& from, const Strides& to) {
  CopyPlan plan;  // NOLINT(cppcoreguidelines-pro-type-member-init): a kilobyte of axes that are not there
  plan.rank = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    const int last = plan.rank - 1;
    if (last >= 0 && plan.from[last] == from[i] * shape[i] && plan.to[last] == to[i] * shape[i]) {
      set_axis(plan, last, plan.shape[last] * shape[i], from[i], to[i]);
    } else if (plan.rank == kMaxCopyRank) {
      throw ValueError(
          message(op, ": shape ", shape_text(shape), " has more axes than the ", kMaxCopyRank, " that can be copied"));
    } else {
      set_axis(plan, plan.rank++, shape[i], from[i], to[i]);
    }
  }
  for (; plan.rank < 2; ++plan.rank) {
    if (plan.rank == 1) set_axis(plan, 1, plan.shape[0], plan.from[0], plan.to[0]);
    set_axis(plan, 0, 1, 0, 0);
  }
  return plan;
}

// Where the source's innermost axis is not the target's, the kernel transposes it with the last one: it must
// stand beside it.
void bring_source_innermost_beside_last(CopyPlan& plan) {
  const int beside = plan.rank - 2;
  if (plan.from[beside + 1] == 1) return;
  for (int i = 0; i < beside; ++i) {
    if (plan.from[i] != 1) continue;
    for (int64_t* sides : {plan.shape, plan.from, plan.to}) std::rotate(sides + i, sides + i + 1, sides + beside + 1);
    return;
  }
}

// Copies elements between two layouts; offsets and strides count elements.
void copy_strided(const char* op, const Array& from, int64_t from_offset, const Strides& from_strides, Array& to,
                  int64_t to_offset, const Strides& to_strides, const Shape& shape) {
  if (element_count(shape) == 0) return;
  CopyPlan plan = joined_axes(op, shape, from_strides, to_strides);
  bring_source_innermost_beside_last(plan);
  const auto item = static_cast<int64_t>(dtype_size(from.dtype()));
  dispatch_untyped(
      op, from,
      [plan, item, from_offset, to_offset, from = from.lent(), to = to.lent()](const KernelTable& kernels) mutable {
        kernels.shape.copy(static_cast<const char*>(from.raw()) + from_offset * item,
                           static_cast<char*>(to.raw()) + to_offset * item, plan, item);
      });
}

}  // namespace

void copy_from_strides(const char* op, const Array& from, const Shape& strides, Array& to) {
  Strides from_strides(strides.size());
  std::copy(strides.begin(), strides.end(), from_strides.begin());
  copy_strided(op, from, 0, from_strides, to, 0, row_strides(to.shape()), to.shape());
}

namespace {

Sizes normalized_order(const Array& x, const std::optional<Sizes>& axes) {
  const int rank = x.rank();
  Sizes order(rank);
  if (!axes) {
    for (int i = 0; i < rank; ++i) order[i] = rank - 1 - i;
    return order;
  }
  Sizes used(rank, 0);
  if (static_cast<int64_t>(axes->size()) != rank) {
    throw ValueError(message("transpose: axes ", shape_text(*axes), " must name each of the ", rank, " axes of shape ",
                             shape_text(x.shape()), " once"));
  }
  for (int i = 0; i < rank; ++i) {
    const int axis = normalize_axis("transpose", (*axes)[i], x);
    if (used[axis] != 0) throw ValueError(message("transpose: axis ", (*axes)[i], " is given twice"));
    used[axis] = 1;
    order[i] = axis;
  }
  return order;
}

// Whether only axes of length one move, so that the elements lie as they did.
bool stays_in_order(const Shape& shape, const Sizes& order) {
  int64_t last = 0;
  for (const int64_t axis : order) {
    if (shape[static_cast<std::size_t>(axis)] == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

}  // namespace

Array transpose_forward(const Array& x, const std::optional<Sizes>& axes) {
  const Sizes order = normalized_order(x, axes);
  const Strides strides = row_strides(x.shape());
  Shape shape(order.size());
  Strides from(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    shape[i] = x.shape(static_cast<int>(order[i]));
    from[i] = strides[order[i]];
  }
  if (stays_in_order(x.shape(), order)) return x.reshape(std::move(shape));
  Array y = Array::empty(std::move(shape), x.dtype(), x.device());
  copy_strided("transpose", x, 0, from, y, 0, row_strides(y.shape()), y.shape());
  return y;
}

namespace {

// Strides that repeat x over a larger shape, NumPy's rules.
Strides broadcast_strides(const char* op, const Array& x, const Shape& shape) {
  const Strides strides = row_strides(x.shape());
  const int64_t extra = static_cast<int64_t>(shape.size()) - x.rank();
  bool fits = extra >= 0;
  Strides result(shape.size());
  for (int i = 0; fits && i < x.rank(); ++i) {
    if (x.shape(i) == shape[extra + i]) {
      result[extra + i] = strides[i];
    } else {
      fits = x.shape(i) == 1;
    }
  }
  if (!fits) {
    throw ValueError(
        message(op, ": shape ", shape_text(x.shape()), " does not broadcast to shape ", shape_text(shape)));
  }
  return result;
}

}  // namespace

Array broadcast_to_forward(const Array& x, const Shape& shape) {
  const Strides from = broadcast_strides("broadcast_to", x, shape);
  Array y = Array::empty(shape, x.dtype(), x.device());
  copy_strided("broadcast_to", x, 0, from, y, 0, row_strides(shape), shape);
  return y;
}

namespace {

// Throws unless array i fits beside the first but along one axis. Words are only put together where it does not.
void check_beside(const Array& first, const Array& x, std::size_t i, int along) {
  Shape expected = first.shape();
  if (x.rank() == first.rank()) expected[along] = x.shape(along);
  if (x.dtype() == first.dtype() && x.device() == first.device() && x.shape() == expected) return;
  const std::string name = message("x ", i);
  check_alike("concatenate", {{"x 0", first}, {name.c_str(), x}});
  check_shape("concatenate", name.c_str(), x, expected);
}

}  // namespace

Array concatenate_forward(const std::vector<Array>& xs, int64_t axis) {
  if (xs.empty()) throw ValueError("concatenate: needs one array or more");
  const Array& first = xs[0];
  check_min_rank("concatenate", "x 0", first, 1);
  const int along = normalize_axis("concatenate", axis, first);
  Shape shape = first.shape();
  shape[along] = 0;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    check_beside(first, xs[i], i, along);
    shape[along] += xs[i].shape(along);
  }
  Array y = Array::empty(shape, first.dtype(), first.device());
  const Strides to = row_strides(shape);
  int64_t offset = 0;
  for (const Array& x : xs) {
    copy_strided("concatenate", x, 0, row_strides(x.shape()), y, offset, to, x.shape());
    offset += x.shape(along) * to[along];
  }
  return y;
}

namespace {

// --- slices: get_item by numbers and slices, and its gradient
// -------------------------------------------------------------------------------------------

// A box of x: along axis i the elements begin, begin + step, ... (count of them).
struct Box {
  int64_t offset = 0;
  Strides strides;
};

Box box_within(const char* op, const Shape& shape, const Sizes& begins, const Sizes& steps, const Shape& counts) {
  if (begins.size() != shape.size() || steps.size() != shape.size() || counts.size() != shape.size()) {
    throw ValueError(
        message(op, ": begins, steps and counts must have one number per axis of shape ", shape_text(shape)));
  }
  Box box{0, row_strides(shape)};
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const int64_t begin = begins[i], step = steps[i], count = counts[i];
    int64_t last = 0;
    const bool fits = count >= 0 && step != 0 &&
                      (count == 0 || (!__builtin_mul_overflow(count - 1, step, &last) &&
                                      !__builtin_add_overflow(last, begin, &last) && begin >= 0 && begin < shape[i] &&
                                      last >= 0 && last < shape[i]));
    if (!fits) {
      throw ValueError(message(op, ": ", count, " elements from ", begin, " by ", step, " are not within axis ", i,
                               " of shape ", shape_text(shape)));
    }
    if (count == 0) continue;
    box.offset += begin * box.strides[i];
    box.strides[i] *= count == 1 ? 1 : step;
  }
  return box;
}

}  // namespace

Array slice_forward(const Array& x, const Sizes& begins, const Sizes& steps, const Shape& counts) {
  const Box box = box_within("slice", x.shape(), begins, steps, counts);
  Array y = Array::empty(counts, x.dtype(), x.device());
  copy_strided("slice", x, box.offset, box.strides, y, 0, row_strides(counts), counts);
  return y;
}

namespace {

// The gradient of slice: dy in its box, zeros around it.
Array slice_backward(const Array& dy, const Shape& shape, const Sizes& begins, const Sizes& steps) {
  element_count(shape);
  const Box box = box_within("slice gradient", shape, begins, steps, dy.shape());
  Array dx = Array::zeros(shape, dy.dtype(), dy.device());
  copy_strided("slice gradient", dy, 0, row_strides(dy.shape()), dx, box.offset, box.strides, dy.shape());
  return dx;
}

}  // namespace

// x with `before` and `after` copies of `value` (a scalar array) on each axis.
Array pad_forward(const Array& x, const Array& value, const Sizes& before, const Sizes& after) {
  check_alike("pad", {{"x", x}, {"constant_values", value}});
  check_shape("pad", "constant_values", value, {});
  if (before.size() != x.shape().size() || after.size() != x.shape().size()) {
    throw ValueError(message("pad: pad_width must have one pair per axis of shape ", shape_text(x.shape())));
  }
  Shape shape = x.shape();
  const int64_t most = int64_t(1) << 60;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (before[i] < 0 || after[i] < 0 || before[i] > most || after[i] > most) {
      throw ValueError(message("pad: pad_width of axis ", i, " must not be negative or huge but is (", before[i], ", ",
                               after[i], ")"));
    }
    shape[i] += before[i] + after[i];
  }
  Array y = Array::empty(shape, x.dtype(), x.device());
  const Strides to = row_strides(shape);
  copy_strided("pad", value, 0, Strides(shape.size()), y, 0, to, shape);
  int64_t offset = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) offset += before[i] * to[i];
  copy_strided("pad", x, 0, row_strides(x.shape()), y, offset, to, x.shape());
  return y;
}

namespace {

// --- by index -----------------------------------------------------------------------------------------

// y = x with `indices` (any shape) in place of axis `axis`. Negative indices count from the end.
// out = x[indices] along the first axis, if out has the right shape and dtype; says whether it has.
bool take_into(const Array& x, const Array& indices, Array& out) {
  check_min_rank("take", "x", x, 1);
  check_rank("take", "indices", indices, 1);
  check_writable("take", "out", out);
  Shape expected = x.shape();
  expected[0] = indices.shape(0);
  if (out.shape() != expected || out.dtype() != x.dtype() || out.device() != x.device()) return false;
  const Array rows = row_numbers("take", indices, x.shape(0), true);
  gather_rows("take", x, rows, out, table_shape(x.shape(), 0, indices.size()));
  out.bump_version();
  return true;
}

}  // namespace

Array take_forward(const Array& x, const Array& indices, int64_t axis) {
  check_same_device("take", {{"x", x}, {"indices", indices}});
  const int along = normalize_axis("take", axis, x);
  const Array rows = row_numbers("take", indices, x.shape(along), true);
  Shape shape(x.shape().begin(), x.shape().begin() + along);
  shape.insert(shape.end(), indices.shape().begin(), indices.shape().end());
  shape.insert(shape.end(), x.shape().begin() + along + 1, x.shape().end());
  Array y = Array::empty(shape, x.dtype(), x.device());
  gather_rows("take", x, rows, y, table_shape(x.shape(), along, indices.size()));
  return y;
}

// y = x, with updates (x's shape, but for as many rows as there are indices along `axis`) added.
Array scatter_add_forward(const Array& x, const Array& indices, const Array& updates, int64_t axis) {
  check_alike("scatter_add", {{"x", x}, {"updates", updates}});
  check_same_device("scatter_add", {{"x", x}, {"indices", indices}});
  if (x.dtype() == DType::Float16 || x.dtype() == DType::BFloat16 || x.dtype() == DType::UInt8 ||
      x.dtype() == DType::Bool) {
    throw TypeError(message("scatter_add: x must be float32, float64, int32 or int64 but is ", dtype_name(x.dtype())));
  }
  const int along = normalize_axis("scatter_add", axis, x);
  const Array rows = row_numbers("scatter_add", indices, x.shape(along), true);
  Shape expected(x.shape().begin(), x.shape().begin() + along);
  expected.insert(expected.end(), indices.shape().begin(), indices.shape().end());
  expected.insert(expected.end(), x.shape().begin() + along + 1, x.shape().end());
  check_shape("scatter_add", "updates", updates, expected);
  Array y = x.copy();
  add_rows("scatter_add", updates, rows, y, table_shape(x.shape(), along, indices.size()));
  return y;
}

namespace {

Array one_hot_forward(const Array& labels, int64_t num_classes, int64_t axis, const std::string& dtype_name_text) {
  check_integer("one_hot", "x", labels);
  check_positive("one_hot", "num_classes", num_classes);
  const DType dtype = dtype_argument(dtype_name_text);
  const int64_t rank = labels.rank() + 1;
  if (axis < -rank || axis >= rank) {
    throw ValueError(message("one_hot: axis ", axis, " is out of range for a result of rank ", rank));
  }
  const int64_t along = axis < 0 ? axis + rank : axis;
  Shape shape = labels.shape();
  shape.insert(shape.begin() + along, num_classes);
  Array y = Array::empty(shape, dtype, labels.device());
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < labels.rank(); ++i) (i < along ? outer : inner) *= labels.shape(static_cast<int>(i));
  const Array wide = as_int64(labels);
  const Element one = element_of(dtype, 1);
  dispatch_untyped("one_hot", labels, [=](const KernelTable& kernels) mutable {
    kernels.shape.one_hot(wide.data<int64_t>(), y.raw(), outer, num_classes, inner,
                          static_cast<int64_t>(dtype_size(dtype)), one.bytes);
  });
  return y;
}

}  // namespace

Array transposed(const Array& x, const Sizes& order) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] != static_cast<int64_t>(i)) return transpose_forward(x, order);
  }
  return x;
}

void bind_shape(py::module_& m) {
  m.def("transpose_forward", &transpose_forward, "x"_a, "axes"_a = py::none(), releases_gil());
  add_direct_shape_ops();
  add_direct_creation();
  m.def("broadcast_to_forward", &broadcast_to_forward, "x"_a, "shape"_a, releases_gil());
  m.def("concatenate_forward", &concatenate_forward, "xs"_a, "axis"_a = -1, releases_gil());
  m.def("slice_forward", &slice_forward, "x"_a, "begins"_a, "steps"_a, "counts"_a, releases_gil());
  m.def("slice_backward", &slice_backward, "dy"_a, "shape"_a, "begins"_a, "steps"_a, releases_gil());
  m.def("pad_forward", &pad_forward, "x"_a, "value"_a, "before"_a, "after"_a, releases_gil());
  m.def("_take_into", &take_into, "x"_a, "indices"_a, "out"_a, releases_gil());
  m.def("take_forward", &take_forward, "x"_a, "indices"_a, "axis"_a = 0, releases_gil());
  m.def("scatter_add_forward", &scatter_add_forward, "x"_a, "indices"_a, "updates"_a, "axis"_a = 0, releases_gil());
  m.def("one_hot_forward", &one_hot_forward, "x"_a, "num_classes"_a, "axis"_a = -1, "dtype"_a = "float32",
        releases_gil());
}

}  // namespace ranvier
