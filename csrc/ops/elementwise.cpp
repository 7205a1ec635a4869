#include "ops/elementwise.h"

#include <algorithm>

#include "core/checks.h"
#include "core/device_memory.h"
#include "core/dispatch.h"
#include "ops/binding.h"
#include "ops/embedding.h"
#include "ops/reduce.h"
#include "tape/direct.h"

namespace ranvier {
namespace {

// --- shapes ---------------------------------------------------------------------------------------

// NumPy's rule: shapes are aligned at their ends; sides agree, or one of them is 1.
Shape broadcast_shape(const char* op, std::initializer_list<Named> operands) {
  std::size_t rank = 0;
  for (const Named& operand : operands) rank = std::max(rank, operand.array.shape().size());
  Shape shape(rank, 1);
  for (const Named& operand : operands) {
    const Shape& own = operand.array.shape();
    for (std::size_t i = 0; i < own.size(); ++i) {
      int64_t& side = shape[rank - own.size() + i];
      if (side == 1) {
        side = own[i];
      } else if (own[i] != 1 && own[i] != side) {
        std::string list;
        for (const Named& each : operands) {
          list += std::string(list.empty() ? "" : ", ") + each.name + " (" + shape_text(each.array.shape()) + ")";
        }
        throw ValueError(message(op, ": the shapes of ", list, " do not broadcast against each other"));
      }
    }
  }
  return shape;
}

// Element strides of `own` along `shape`, into column k of the plan's axes, 0 where it repeats.
void strides_along(const Shape& own, const Shape& shape, int64_t* strides) {
  int64_t step = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::size_t axis = shape.size() - 1 - i;
    const int64_t side = i < own.size() ? own[own.size() - 1 - i] : 1;
    strides[axis] = side == 1 ? 0 : step;
    step *= side;
  }
}

bool merges(const Broadcast& plan, int axis, int next) {
  for (int k = 0; k < kMaxOperands; ++k) {
    if (plan.strides[k][axis] != plan.strides[k][next] * plan.sizes[next]) return false;
  }
  return true;
}

Broadcast broadcast_along(const char* op, const Shape& shape, std::initializer_list<const Shape*> operands) {
  Broadcast plan{};
  plan.size = element_count(shape);
  if (shape.size() > kMaxAxes) throw ValueError(message(op, ": rank ", shape.size(), " is more than ", kMaxAxes));
  int k = 0;
  for (const Shape* own : operands) strides_along(*own, shape, plan.strides[k++]);
  int axes = 0;
  for (int axis = 0; axis < static_cast<int>(shape.size()); ++axis) {
    if (shape[axis] == 1) continue;
    plan.sizes[axes] = shape[axis];
    for (int j = 0; j < kMaxOperands; ++j) plan.strides[j][axes] = plan.strides[j][axis];
    if (axes > 0 && merges(plan, axes - 1, axes)) {
      plan.sizes[axes - 1] *= plan.sizes[axes];
      for (int j = 0; j < kMaxOperands; ++j) plan.strides[j][axes - 1] = plan.strides[j][axes];
    } else {
      ++axes;
    }
  }
  if (axes == 0) {
    plan.sizes[axes++] = 1;
    for (int j = 0; j < k; ++j) plan.strides[j][0] = 1;
  }
  plan.axes = axes;
  return plan;
}

// The plan of operands that all have n elements in the same order.
Broadcast side_by_side(int64_t n) {
  Broadcast plan;  // NOLINT(cppcoreguidelines-pro-type-member-init): two kilobytes of axes that are not there
  plan.axes = 1;
  plan.size = plan.sizes[0] = n;
  for (int64_t* strides : {plan.strides[0], plan.strides[1], plan.strides[2]}) strides[0] = 1;
  return plan;
}

// --- ops ------------------------------------------------------------------------------------------

void refuse_narrow(const char* op, const char* name, const Array& x) {
  if (x.dtype() != DType::Float16 && x.dtype() != DType::BFloat16) return;
  throw TypeError(message(op, ": ", name, " is ", dtype_name(x.dtype()), "; cast it to float32 first"));
}

Array unary(const char* op, UnaryOp kind, const Array& x) {
  const bool logical = kind >= UnaryOp::IsNan;
  if (kind >= UnaryOp::Exp && kind <= UnaryOp::Sqrt) check_floating(op, "x", x);
  refuse_narrow(op, "x", x);
  if (!logical && x.dtype() == DType::Bool) throw TypeError(message(op, ": x is bool; cast it to a number first"));
  Array y = Array::empty(x.shape(), logical ? DType::Bool : x.dtype(), x.device());
  if (x.size() == 0) return y;
  dispatch_untyped(op, x, [kind, x = x.lent(), y = y.lent()](const KernelTable& kernels) mutable {
    kernels.elementwise.unary(kind, x.dtype(), x.raw(), y.raw(), x.size());
  });
  return y;
}

bool compares(BinaryOp kind) { return kind >= BinaryOp::Equal; }

// What add, multiply, maximum and minimum are on truth values; the others have no meaning there.
BinaryOp on_bool(const char* op, BinaryOp kind) {
  switch (kind) {
    case BinaryOp::Add:
    case BinaryOp::Maximum: return BinaryOp::Maximum;
    case BinaryOp::Multiply:
    case BinaryOp::Minimum: return BinaryOp::Minimum;
    default: break;
  }
  if (compares(kind)) return kind;
  throw TypeError(message(op, ": has no meaning on bool; cast to a number first"));
}

void refuse_negative(const char* op, const Array& exponents) {
  if (const auto outsider = find_outsider(op, exponents, 0, INT64_MAX)) {
    throw ValueError(message("power: integers have no negative integer powers (an exponent is ", outsider->value,
                             "); cast to a floating dtype"));
  }
}

// a OP b, or b OP a if exchanged; messages speak of a as x1 either way.
Array binary(const char* op, BinaryOp kind, const Array& a, const Array& b, bool exchanged = false) {
  check_alike(op, {{"x1", a}, {"x2", b}});
  refuse_narrow(op, "x1", a);
  if (kind == BinaryOp::Divide || kind == BinaryOp::MaximumShare) check_floating(op, "x1", a);
  if (a.dtype() == DType::Bool) kind = on_bool(op, kind);
  if (kind == BinaryOp::Power && (a.dtype() == DType::Int32 || a.dtype() == DType::Int64)) {
    run(op, [op, b] { refuse_negative(op, b); });
  }
  const Array& left = exchanged ? b : a;
  const Array& right = exchanged ? a : b;
  const DType dtype = a.dtype(), result = compares(kind) ? DType::Bool : dtype;
  if (a.shape() == b.shape()) {  // one axis, whatever its parts
    Array y = Array::empty(a.shape(), result, a.device());
    if (y.size() == 0) return y;
    dispatch_untyped(
        op, a,
        [kind, dtype, left = left.lent(), right = right.lent(), y = y.lent()](const KernelTable& kernels) mutable {
          kernels.elementwise.binary(kind, dtype, left.raw(), right.raw(), y.raw(), side_by_side(y.size()));
        });
    return y;
  }
  Shape shape = broadcast_shape(op, {{"x1", a}, {"x2", b}});
  const Broadcast plan = broadcast_along(op, shape, {&left.shape(), &right.shape()});
  Array y = Array::empty(std::move(shape), result, a.device());
  if (y.size() == 0) return y;
  dispatch_untyped(
      op, a,
      [kind, dtype, plan, left = left.lent(), right = right.lent(), y = y.lent()](const KernelTable& kernels) mutable {
        kernels.elementwise.binary(kind, dtype, left.raw(), right.raw(), y.raw(), plan);
      });
  return y;
}

Array where_forward(const Array& condition, const Array& x1, const Array& x2) {
  check_dtype("where", "condition", condition, DType::Bool);
  check_alike("where", {{"x1", x1}, {"x2", x2}});
  check_same_device("where", {{"condition", condition}, {"x1", x1}});
  Shape shape = broadcast_shape("where", {{"condition", condition}, {"x1", x1}, {"x2", x2}});
  const Broadcast plan = broadcast_along("where", shape, {&condition.shape(), &x1.shape(), &x2.shape()});
  Array y = Array::empty(std::move(shape), x1.dtype(), x1.device());
  if (y.size() == 0) return y;
  dispatch_untyped("where", x1, [=](const KernelTable& kernels) mutable {
    kernels.elementwise.where(dtype_size(x1.dtype()), condition.data<bool>(), x1.raw(), x2.raw(), y.raw(), plan);
  });
  return y;
}

Array clip_forward(const Array& x, double x_min, double x_max) {
  check_floating("clip", "x", x);
  Array y = Array::empty_like(x);
  if (x.size() == 0) return y;
  dispatch_untyped("clip", x, [x_min, x_max, x = x.lent(), y = y.lent()](const KernelTable& kernels) mutable {
    kernels.elementwise.clip(x.dtype(), x.raw(), x_min, x_max, y.raw(), x.size());
  });
  return y;
}

Array clip_backward(const Array& x, const Array& dy, double x_min, double x_max) {
  check_floating("clip gradient", "x", x);
  check_alike("clip gradient", {{"x", x}, {"dy", dy}});
  check_shape("clip gradient", "dy", dy, x.shape());
  Array dx = Array::empty_like(x);
  if (x.size() == 0) return dx;
  dispatch_untyped("clip gradient", x, [=](const KernelTable& kernels) mutable {
    kernels.elementwise.clip_backward(x.dtype(), x.raw(), dy.raw(), x_min, x_max, dx.raw(), x.size());
  });
  return dx;
}

Array cast_forward(const Array& x, const std::string& dtype) {
  Array y = Array::empty(x.shape(), dtype_argument(dtype), x.device());
  if (x.size() == 0) return y;
  dispatch_untyped("cast", x, [x = x.lent(), y = y.lent()](const KernelTable& kernels) mutable {
    kernels.elementwise.cast(x.dtype(), y.dtype(), x.raw(), y.raw(), x.size());
  });
  return y;
}

// Sums x over the axes along which the plan's operand stands still, from the last to the first.
void sum_repeated(const KernelTable& kernels, const Array& x, const Broadcast& plan, Array& y) {
  Array from = x;
  int64_t outer = x.size(), inner = 1;
  for (int axis = plan.axes - 1; axis >= 0; --axis) {
    outer /= plan.sizes[axis];
    if (plan.strides[0][axis] != 0) {
      inner *= plan.sizes[axis];
      continue;
    }
    Array to = outer * inner == y.size() ? y : Array::empty({outer, inner}, x.dtype(), x.device());
    kernels.reduce.reduce(Reduction::Sum, x.dtype(), from.raw(), to.raw(), {outer, plan.sizes[axis], inner});
    from = to;
  }
  if (from.raw() == x.raw()) {  // nothing repeats
    copy_bytes(y.device(), y.raw(), x.device(), x.raw(), x.bytes());
    y.mark_written();
  }
}

Array sum_to_shape_forward(const Array& x, const Shape& shape) {
  check_floating("sum_to_shape", "x", x);
  const std::size_t cut = x.shape().size() - std::min(x.shape().size(), shape.size());
  bool fits = shape.size() <= x.shape().size();
  for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] == 1 || shape[i] == x.shape()[cut + i];
  if (!fits) {
    throw ValueError(
        message("sum_to_shape: shape ", shape_text(shape), " does not broadcast to ", shape_text(x.shape())));
  }
  if (x.size() == 0) return Array::zeros(shape, x.dtype(), x.device());
  Array y = Array::empty(shape, x.dtype(), x.device());
  const Broadcast plan = broadcast_along("sum_to_shape", x.shape(), {&shape});
  dispatch_untyped("sum_to_shape", x, [=](const KernelTable& kernels) mutable { sum_repeated(kernels, x, plan, y); });
  return y;
}

}  // namespace

namespace {

template <typename T>
Array holding(Array y, T value) {
  set_values(y, &value);
  return y;
}

}  // namespace

Array scalar_like(const Array& like, py::handle value) {
  Array y = Array::constant({}, like.dtype(), like.device());
  const auto refuse = [&] {
    throw ValueError(message(py::repr(value).cast<std::string>(), " does not fit into ", dtype_name(like.dtype())));
  };
  const DType dtype = like.dtype();
  if (dtype == DType::Float32 || dtype == DType::Float64) {
    const double number = PyFloat_AsDouble(value.ptr());
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    return dtype == DType::Float32 ? holding(y, static_cast<float>(number)) : holding(y, number);
  }
  if (!PyLong_Check(value.ptr())) refuse();
  int overflow = 0;
  const int64_t number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  if (overflow != 0) refuse();
  switch (dtype) {
    case DType::Int64: return holding(y, number);
    case DType::Int32:
      if (number != static_cast<int32_t>(number)) refuse();
      return holding(y, static_cast<int32_t>(number));
    case DType::UInt8:
      if (number != static_cast<uint8_t>(number)) refuse();
      return holding(y, static_cast<uint8_t>(number));
    case DType::Bool:
      if (number != 0 && number != 1) refuse();
      return holding(y, number != 0);
    default: throw TypeError(message("scalar_like: no arithmetic on ", dtype_name(dtype), "; cast to float32 first"));
  }
}

void bind_elementwise(py::module_& m) {
  struct Unary {
    const char* name;
    UnaryOp kind;
  };
  static constexpr Unary kUnary[] = {
      {"negative", UnaryOp::Negative},
      {"exp", UnaryOp::Exp},
      {"expm1", UnaryOp::Expm1},
      {"log1p", UnaryOp::Log1p},
      {"erf", UnaryOp::Erf},
      {"log", UnaryOp::Log},
      {"sqrt", UnaryOp::Sqrt},
      {"square", UnaryOp::Square},
      {"absolute", UnaryOp::Absolute},
      {"sign", UnaryOp::Sign},
      {"isnan", UnaryOp::IsNan},
      {"isfinite", UnaryOp::IsFinite},
      {"logical_not", UnaryOp::LogicalNot},
  };
  for (const Unary& op : kUnary) {
    m.def((std::string(op.name) + "_forward").c_str(), [op](const Array& x) { return unary(op.name, op.kind, x); },
          "x"_a, releases_gil());
    add_direct(op.name, [op](const Array& x) { return unary(op.name, op.kind, x); });
  }
  struct Binary {
    const char* name;
    BinaryOp kind;
    bool exchanged = false;
  };
  static constexpr Binary kBinary[] = {
      {"add", BinaryOp::Add},
      {"subtract", BinaryOp::Subtract},
      {"multiply", BinaryOp::Multiply},
      {"divide", BinaryOp::Divide},
      {"power", BinaryOp::Power},
      {"maximum", BinaryOp::Maximum},
      {"minimum", BinaryOp::Minimum},
      {"maximum_share", BinaryOp::MaximumShare},
      {"equal", BinaryOp::Equal},
      {"not_equal", BinaryOp::NotEqual},
      {"less", BinaryOp::Less},
      {"less_equal", BinaryOp::LessEqual},
      {"greater", BinaryOp::Less, true},
      {"greater_equal", BinaryOp::LessEqual, true},
      {"logical_and", BinaryOp::And},
      {"logical_or", BinaryOp::Or},
  };
  for (const Binary& op : kBinary) {
    m.def((std::string(op.name) + "_forward").c_str(),
          [op](const Array& x1, const Array& x2) { return binary(op.name, op.kind, x1, x2, op.exchanged); }, "x1"_a,
          "x2"_a, releases_gil());
    add_direct(op.name,
               [op](const Array& x1, const Array& x2) { return binary(op.name, op.kind, x1, x2, op.exchanged); });
  }
  add_direct("where", [](direct::MaskArgument condition, const Array& x1, const Array& x2) {
    return where_forward(condition.array, x1, x2);
  });
  add_direct("clip", &clip_forward);
  add_direct("sum_to_shape", &sum_to_shape_forward);
  add_direct("cast", [](direct::Moved x, const std::string& dtype) -> std::optional<Array> {
    if (dtype == dtype_name(x.array.dtype())) return std::nullopt;  // the tensor itself
    return cast_forward(x.array, dtype);
  });
  m.def("where_forward", &where_forward, "condition"_a, "x1"_a, "x2"_a, releases_gil());
  m.def("clip_forward", &clip_forward, "x"_a, "x_min"_a, "x_max"_a, releases_gil());
  m.def("clip_backward", &clip_backward, "x"_a, "dy"_a, "x_min"_a, "x_max"_a, releases_gil());
  m.def("cast_forward", &cast_forward, "x"_a, "dtype"_a, releases_gil());
  m.def("sum_to_shape_forward", &sum_to_shape_forward, "x"_a, "shape"_a, releases_gil());
  m.def("scalar_like", &scalar_like, "like"_a, "value"_a);
}

}  // namespace ranvier
