// The memory of any device under one set of names: the host's, the simulator's, a GPU's.
#pragma once

#include <cstddef>
#include <vector>

#include "core/array.h"
#include "core/device.h"

namespace ranvier {

// Whether the host reads and writes the device's memory as its own: cpu and reference.

void* allocate_on(Device device, std::size_t bytes);  // throws OutOfMemory
void deallocate_on(Device device, void* pointer, std::size_t bytes) noexcept;

// In the order of the devices' streams. Bytes of the host may go as soon as the call is over, and are there then.
void copy_bytes(Device to_device, void* to, Device from_device, const void* from, std::size_t bytes);
void zero_bytes(Device device, void* to, std::size_t bytes);

// The values of an array for the host to read: where they are, or a copy that waited for its device. Reads are rare,
// and each is to be seen: a kernel's arguments are not read so. The array must live as long.
class HostValues {
 public:
  explicit HostValues(const Array& array);

  template <typename T>
  const T* data() const {
    return static_cast<const T*>(data_);
  }

 private:
  std::vector<char> copy_;
  const void* data_;
};

// Fills the whole array from the host.
void set_values(Array& array, const void* from);

}  // namespace ranvier
