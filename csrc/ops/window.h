// The geometry of windows that slide over an image: what convolution and pooling have in common.
#pragma once

#include <cstdint>

namespace ranvier {

// One axis: output o sees the inputs o * stride + tap * dilation - before, for tap in 0..window-1.
struct WindowAxis {
  int64_t size;
  int64_t window;
  int64_t stride;
  int64_t dilation;
  int64_t before;  // padding before the first input
  int64_t out;
};

struct Window {
  WindowAxis height;
  WindowAxis width;
};

}  // namespace ranvier
