#include "ops/sliding_window.h"

#include <algorithm>

#include "core/array.h"
#include "core/error.h"

namespace ranvier {
namespace {

// Far beyond any use, and small enough that no product of two of them overflows.
constexpr int64_t kMaxStep = (int64_t{1} << 31) - 1;
constexpr int64_t kMaxPadding = int64_t{1} << 20;

int64_t extent_of(const WindowAxis& axis) { return (axis.window - 1) * axis.dilation + 1; }

std::string pair_text(const Sides& sides) {
  std::string text = "(";
  for (std::size_t i = 0; i < sides.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(sides[i]);
  return text + ")";
}

void check_sides(const char* op, const char* name, const Sides& sides, int64_t least) {
  bool good = sides.size() == 2;
  for (const int64_t side : sides) good = good && side >= least && side <= kMaxStep;
  if (good) return;
  throw ValueError(message(op, ": ", name, " must be one or two integers from ", least, " to ", kMaxStep, " but is ",
                           pair_text(sides)));
}

bool is_named(const char* op, const Padding& padding, const char* name) {
  const std::string* given = std::get_if<std::string>(&padding);
  if (given == nullptr) return false;
  if (*given == "valid" || *given == "same") return *given == name;
  throw ValueError(
      message(op, ": padding must be \"valid\", \"same\" or ((top, bottom), (left, right)) but is \"", *given, "\""));
}

// (before, after) of an axis from explicit padding.
const Sides& explicit_padding(const char* op, const Padding& padding, int axis) {
  const auto& pairs = std::get<std::vector<Sizes>>(padding);
  if (pairs.size() != 2 || pairs[0].size() != 2 || pairs[1].size() != 2) {
    throw ValueError(message(op, ": explicit padding must be ((top, bottom), (left, right))"));
  }
  for (const int64_t side : pairs[axis]) {
    if (side >= 0 && side <= kMaxPadding) continue;
    throw ValueError(message(op, ": explicit padding must be from 0 to ", kMaxPadding, " but is (", pair_text(pairs[0]),
                             ", ", pair_text(pairs[1]), ")"));
  }
  return pairs[axis];
}

void resolve(const char* op, const char* what, const Padding& padding, int number, WindowAxis& axis) {
  const int64_t extent = extent_of(axis);
  if (is_named(op, padding, "same")) {
    axis.out = axis.size == 0 ? 0 : (axis.size - 1) / axis.stride + 1;
    const int64_t total = axis.out == 0 ? 0 : (axis.out - 1) * axis.stride + extent - axis.size;
    axis.before = std::max<int64_t>(total, 0) / 2;
    return;
  }
  int64_t padded = axis.size;
  axis.before = 0;
  if (!is_named(op, padding, "valid")) {
    const Sides& sides = explicit_padding(op, padding, number);
    axis.before = sides[0];
    padded += sides[0] + sides[1];
  }
  if (padded < extent && axis.size > 0) {
    throw ValueError(message(op, ": the ", what, "'s ", number == 0 ? "height " : "width ", axis.window,
                             axis.dilation == 1 ? "" : message(" (dilated to ", extent, ")"),
                             " is larger than the padded input's ", padded));
  }
  axis.out = padded < extent ? 0 : (padded - extent) / axis.stride + 1;
}

void check_window(const char* op, const char* what, const Sides& window, const Sides& strides, const Sides& dilation) {
  check_sides(op, message(what, " size").c_str(), window, 1);
  check_sides(op, "strides", strides, 1);
  check_sides(op, "dilation", dilation, 1);
}

// Keras's conv_transpose: backend_utils.compute_conv_transpose_output_shape.
WindowAxis transposed_axis(const char* op, int64_t in, int64_t window, int64_t stride, int64_t dilation, bool same,
                           const int64_t* output_padding) {
  WindowAxis axis{0, window, stride, dilation, 0, in};
  if (in > kMaxStep) throw ValueError(message(op, ": inputs has a side of ", in, ", more than ", kMaxStep));
  if (in == 0) return axis;
  const int64_t extent = extent_of(axis);
  const int64_t last = (in - 1) * stride;
  if (output_padding == nullptr) {
    axis.size = same ? in * stride : last + std::max(extent, stride);
  } else {
    axis.size = last + (same ? extent % 2 : extent) + *output_padding;
  }
  const int64_t total = std::max<int64_t>(last + extent - axis.size, 0);
  axis.before = total / 2;
  if ((axis.size + total - extent) / stride + 1 == in && axis.size > 0) return axis;
  throw ValueError(message(op, ": output_padding ", output_padding == nullptr ? 0 : *output_padding,
                           " does not suit strides ", stride, " and a kernel of ", extent, ": the output of ",
                           axis.size, " would not convolve back to ", in));
}

}  // namespace

Window sliding_window(const char* op, const char* what, const Sides& size, const Sides& window, const Sides& strides,
                      const Padding& padding, const Sides& dilation) {
  check_window(op, what, window, strides, dilation);
  Window result{{size[0], window[0], strides[0], dilation[0], 0, 0},
                {size[1], window[1], strides[1], dilation[1], 0, 0}};
  resolve(op, what, padding, 0, result.height);
  resolve(op, what, padding, 1, result.width);
  return result;
}

Window transposed_window(const char* op, const char* what, const Sides& in, const Sides& window, const Sides& strides,
                         const std::string& padding, const Sides& output_padding, const Sides& dilation) {
  check_window(op, what, window, strides, dilation);
  if (padding != "valid" && padding != "same") {
    throw ValueError(message(op, ": padding must be \"valid\" or \"same\" but is \"", padding, "\""));
  }
  const bool given = !output_padding.empty();
  if (given) check_sides(op, "output_padding", output_padding, 0);
  const bool same = padding == "same";
  return {transposed_axis(op, in[0], window[0], strides[0], dilation[0], same, given ? &output_padding[0] : nullptr),
          transposed_axis(op, in[1], window[1], strides[1], dilation[1], same, given ? &output_padding[1] : nullptr)};
}

}  // namespace ranvier
