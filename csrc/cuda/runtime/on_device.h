// All that the ops know of a GPU: which kernels it has, and on which one they are launched. Every op includes this; the
// rest of the run-time is runtime.h.
#pragma once

#include "core/device.h"

namespace ranvier {

struct KernelTable;

namespace gpu {

const KernelTable& kernels();  // those of csrc/cuda, with kernels from outside the tree in their place

// While one lives, this thread launches on an array's device. Nothing for arrays elsewhere.
class OnDevice {
 public:
  explicit OnDevice(Device device) : outer_(device.kind == DeviceKind::Cuda ? enter(device.index) : -1) {}
  ~OnDevice() {
    if (outer_ >= 0) leave(outer_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  static int enter(int device);
  static void leave(int outer) noexcept;
  int outer_;
};

}  // namespace gpu
}  // namespace ranvier
