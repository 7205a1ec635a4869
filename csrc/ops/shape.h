// Moving elements without arithmetic. transpose, broadcast_to, concatenate, pad and the slices of get_item are one
// strided copy between two layouts of the same elements, for every dtype; one_hot is a kernel of its own; take and
// scatter_add are those of embedding.h.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/array.h"

namespace ranvier {

constexpr int kMaxCopyRank = 32;

// to[sum_i k_i * to_stride_i] = from[sum_i k_i * from_stride_i] for all 0 <= k < shape. Strides count elements
// and may be zero (broadcast) or negative (flip) on the side read.
struct CopyPlan {
  int rank;
  int64_t shape[kMaxCopyRank];
  int64_t from[kMaxCopyRank];
  int64_t to[kMaxCopyRank];
};

// Fills `to` from elements that lie at these strides from the first of `from`, on the same device.
void copy_from_strides(const char* op, const Array& from, const Shape& strides, Array& to);

struct ShapeKernels {
  void (*copy)(const void* from, void* to, const CopyPlan& plan, int64_t item_size);
  // y (outer, classes, inner) is zero but for `one` where labels (outer, inner) name a class.
  void (*one_hot)(const int64_t* labels, void* y, int64_t outer, int64_t classes, int64_t inner, int64_t item_size,
                  const void* one);
};

// x with its axes in another order, copied; x itself where the order moves nothing.
Array transposed(const Array& x, const Sizes& order);

Array transpose_forward(const Array& x, const std::optional<Sizes>& axes);
Array broadcast_to_forward(const Array& x, const Shape& shape);
Array concatenate_forward(const std::vector<Array>& xs, int64_t axis);
Array slice_forward(const Array& x, const Sizes& begins, const Sizes& steps, const Shape& counts);
Array pad_forward(const Array& x, const Array& value, const Sizes& before, const Sizes& after);
Array take_forward(const Array& x, const Array& indices, int64_t axis);
Array scatter_add_forward(const Array& x, const Array& indices, const Array& updates, int64_t axis);

// One element of any dtype, as its bytes.
struct alignas(8) Element {
  char bytes[8];
};
Element element_of(DType dtype, double value);
Array filled(const Shape& shape, DType dtype, Element value);  // on the CPU

void add_direct_shape_ops();
void add_direct_creation();

}  // namespace ranvier
