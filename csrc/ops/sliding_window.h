// Strides, dilation and padding as Keras and TensorFlow mean them, checked and resolved into a Window.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/sizes.h"
#include "ops/window.h"

namespace ranvier {

using Sides = Sizes;  // (height, width)

// "valid", "same" or ((top, bottom), (left, right)).
using Padding = std::variant<std::string, std::vector<Sizes>>;

// Checks everything and finds padding and output sizes:
//   valid     out = floor((size - extent) / stride) + 1
//   same      out = ceil(size / stride), what padding that takes, the odd one at the end
//   explicit  out = floor((size + before + after - extent) / stride) + 1
// `what` names the window in messages: "kernel", "pool". Throws ValueError.
Window sliding_window(const char* op, const char* what, const Sides& size, const Sides& window, const Sides& strides,
                      const Padding& padding, const Sides& dilation);

// The same for the adjoint, a transposed convolution: `size` is what comes out, `out` what goes in, and
// the padding is that of the convolution from `size` to `out`. Output sizes as Keras 3 has them.
Window transposed_window(const char* op, const char* what, const Sides& in, const Sides& window, const Sides& strides,
                         const std::string& padding, const Sides& output_padding, const Sides& dilation);

}  // namespace ranvier
