#include "core/device_memory.h"

#include <cstring>

#include "core/allocator.h"
#include "core/live.h"
#include "core/parallel.h"
#include "cuda/runtime/runtime.h"
#include "sim/arrays.h"

namespace ranvier {
namespace {

// Large fills and copies are shared by the threads.
constexpr int64_t kShareBytes = int64_t{1} << 18;

struct Bytes {
  char* to;
  const char* from;  // null: zeros
};

void move_bytes(void* to, const void* from, std::size_t count) {
  if (to == from) return;
  Bytes bytes{static_cast<char*>(to), static_cast<const char*>(from)};
  parallel_for(
      0, static_cast<int64_t>(count), kShareBytes,
      [](int64_t begin, int64_t end, void* context) {
        const Bytes& b = *static_cast<const Bytes*>(context);
        const std::size_t size = static_cast<std::size_t>(end - begin);
        if (b.from == nullptr) {
          std::memset(b.to + begin, 0, size);
        } else {
          std::memcpy(b.to + begin, b.from + begin, size);
        }
      },
      &bytes);
}

}  // namespace

void* allocate_on(Device device, std::size_t bytes) {
  switch (device.kind) {
    case DeviceKind::Cuda: return gpu::allocate(device.index, bytes);
    case DeviceKind::Sim: return sim::allocate(bytes);
    default: return allocate(bytes);
  }
}

void deallocate_on(Device device, void* pointer, std::size_t bytes) noexcept {
  switch (device.kind) {
    case DeviceKind::Cuda: return gpu::deallocate(device.index, pointer);
    case DeviceKind::Sim: return sim::deallocate(pointer);
    default: deallocate(pointer, bytes);
  }
}

void copy_bytes(Device to_device, void* to, Device from_device, const void* from, std::size_t bytes) {
  const bool to_gpu = to_device.kind == DeviceKind::Cuda, from_gpu = from_device.kind == DeviceKind::Cuda;
  if (to_gpu && from_gpu) return gpu::copy_between(to_device.index, to, from_device.index, from, bytes);
  if (!to_gpu && !from_gpu) {
    if (to_device.kind != from_device.kind) note_live();
    const sim::Window open(to_device.kind == DeviceKind::Sim || from_device.kind == DeviceKind::Sim);
    return move_bytes(to, from, bytes);
  }
  if (to_device.kind == DeviceKind::Sim ||
      from_device.kind == DeviceKind::Sim) {  // GPU and simulator: by way of the host
    std::vector<char> values(bytes);
    copy_bytes({}, values.data(), from_device, from, bytes);
    return copy_bytes(to_device, to, {}, values.data(), bytes);
  }
  if (to_gpu) return gpu::copy_to_device(to_device.index, to, from, bytes);
  gpu::copy_to_host(from_device.index, to, from, bytes);
}

void zero_bytes(Device device, void* to, std::size_t bytes) {
  if (device.kind == DeviceKind::Cuda) return gpu::zero(device.index, to, bytes);
  const sim::Window open(device.kind == DeviceKind::Sim);
  move_bytes(to, nullptr, bytes);
}

HostValues::HostValues(const Array& array) : data_(array.raw()) {
  note_live();
  if (on_host(array.device())) return;
  copy_.resize(array.bytes());
  copy_bytes({}, copy_.data(), array.device(), array.raw(), array.bytes());
  data_ = copy_.data();
}

void set_values(Array& array, const void* from) {
  note_live();
  copy_bytes(array.device(), array.raw(), {}, from, array.bytes());
  array.mark_written();
}

}  // namespace ranvier
