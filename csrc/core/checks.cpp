#include "core/checks.h"

namespace ranvier {

void check_floating(const char* op, const char* name, const Array& array) {
  if (array.dtype() == DType::Float32 || array.dtype() == DType::Float64) return;
  throw TypeError(message(op, ": ", name, " must be floating (float32 or float64) but is ", dtype_name(array.dtype())));
}

void check_storage(const char* op, const char* name, const Array& array) {
  if (is_narrow(array.dtype()) && !on_host(array.device())) return;
  check_floating(op, name, array);
}

void check_integer(const char* op, const char* name, const Array& array) {
  if (array.dtype() == DType::Int32 || array.dtype() == DType::Int64) return;
  throw TypeError(message(op, ": ", name, " must be int32 or int64 but is ", dtype_name(array.dtype())));
}

void check_dtype(const char* op, const char* name, const Array& array, DType expected) {
  if (array.dtype() == expected) return;
  throw TypeError(message(op, ": ", name, " must be ", dtype_name(expected), " but is ", dtype_name(array.dtype())));
}

void check_rank(const char* op, const char* name, const Array& array, int rank) {
  if (array.rank() == rank) return;
  throw ValueError(message(op, ": ", name, " must have rank ", rank, " but has rank ", array.rank(), " (shape ",
                           shape_text(array.shape()), ")"));
}

void check_min_rank(const char* op, const char* name, const Array& array, int rank) {
  if (array.rank() >= rank) return;
  throw ValueError(message(op, ": ", name, " must have rank ", rank, " or more but has rank ", array.rank(), " (shape ",
                           shape_text(array.shape()), ")"));
}

void check_shape(const char* op, const char* name, const Array& array, const Shape& expected) {
  if (array.shape() == expected) return;
  throw ValueError(
      message(op, ": ", name, " must have shape ", shape_text(expected), " but has shape ", shape_text(array.shape())));
}

void check_positive(const char* op, const char* name, int64_t value) {
  if (value > 0) return;
  throw ValueError(message(op, ": ", name, " must be positive but is ", value));
}

void check_same_device(const char* op, std::initializer_list<Named> arguments) {
  const Named& first = *arguments.begin();
  for (const Named& other : arguments) {
    if (other.array.device() == first.array.device()) continue;
    throw DeviceError(message(op, ": ", first.name, " is on ", device_name(first.array.device()), " but ", other.name,
                              " is on ", device_name(other.array.device())));
  }
}

void check_same_dtype(const char* op, std::initializer_list<Named> arguments) {
  const Named& first = *arguments.begin();
  for (const Named& other : arguments) {
    if (other.array.dtype() == first.array.dtype()) continue;
    throw TypeError(message(op, ": ", first.name, " is ", dtype_name(first.array.dtype()), " but ", other.name, " is ",
                            dtype_name(other.array.dtype())));
  }
}

void check_writable(const char* op, const char* name, const Array& array) {
  if (!array.readonly()) return;
  throw ValueError(message(op, ": ", name, " is read-only (it shares memory with a read-only buffer); copy it first"));
}

void check_alike(const char* op, std::initializer_list<Named> arguments) {
  check_same_device(op, arguments);
  check_same_dtype(op, arguments);
}

int normalize_axis(const char* op, int64_t axis, const Array& array) {
  const int64_t rank = array.rank();
  if (axis >= -rank && axis < rank) return static_cast<int>(axis < 0 ? axis + rank : axis);
  throw ValueError(message(op, ": axis ", axis, " is out of range for shape ", shape_text(array.shape())));
}

void check_wide_like(const char* op, const char* name, const Array& array, const Array& x) {
  if (!is_narrow(x.dtype())) return check_alike(op, {{"x", x}, {name, array}});
  check_same_device(op, {{"x", x}, {name, array}});
  check_dtype(op, name, array, widened(x.dtype()));
}

}  // namespace ranvier
