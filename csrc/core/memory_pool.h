// Memory of one recording: what its arrays give back is handed out again within the recording only, so that
// the addresses its calls remember stay theirs for as long as it lives.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/device.h"

namespace ranvier {

class MemoryPool {
 public:
  MemoryPool() = default;
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;
  ~MemoryPool();

  void* allocate(Device device, std::size_t bytes);  // throws OutOfMemory
  void deallocate(Device device, void* pointer) noexcept;
  // From now on the recording's calls run again, and each block serves in turn whatever it served: one array to the
  // simulator, which checked the calls when they were recorded.
  void keep_for_replay();
  std::size_t reserved() const;  // bytes taken from the allocator

 private:
  struct Block {
    Device device;
    void* pointer;
    std::size_t bytes;
  };
  // Devices in any order, and sizes within each.
  using Size = std::pair<std::pair<DeviceKind, int>, std::size_t>;

  mutable std::mutex mutex_;
  std::multimap<Size, void*> free_;     // the smallest that fits is taken
  std::vector<Block> blocks_;           // all that there are
  std::map<void*, std::size_t> sizes_;  // of the blocks handed out
};

}  // namespace ranvier
