// Argument checks shared by all ops. Every message names the op, the argument, what was expected and
// what came (design §7).
#pragma once

#include <initializer_list>
#include <optional>

#include "core/array.h"
#include "core/error.h"

namespace ranvier {

// An argument with its name, for checks over several of them: {{"x", x}, {"kernel", kernel}}.
struct Named {
  const char* name;
  const Array& array;
};

void check_floating(const char* op, const char* name, const Array& array);  // float32 or float64
void check_storage(const char* op, const char* name, const Array& array);   // or 16 bits on a GPU (dispatch_narrow)
void check_integer(const char* op, const char* name, const Array& array);   // int32 or int64
void check_dtype(const char* op, const char* name, const Array& array, DType expected);
void check_rank(const char* op, const char* name, const Array& array, int rank);
void check_min_rank(const char* op, const char* name, const Array& array, int rank);
void check_shape(const char* op, const char* name, const Array& array, const Shape& expected);
void check_positive(const char* op, const char* name, int64_t value);
void check_same_device(const char* op, std::initializer_list<Named> arguments);
// What goes with x but is no activation (statistics, scales): of its dtype, or float32 where x has 16 bits.
void check_wide_like(const char* op, const char* name, const Array& array, const Array& x);
void check_same_dtype(const char* op, std::initializer_list<Named> arguments);
void check_writable(const char* op, const char* name, const Array& array);

// Device and dtype at once: what almost every op asks of its arrays.
void check_alike(const char* op, std::initializer_list<Named> arguments);

// -rank..rank-1 -> 0..rank-1; throws ValueError naming axis and shape.
int normalize_axis(const char* op, int64_t axis, const Array& array);

}  // namespace ranvier
