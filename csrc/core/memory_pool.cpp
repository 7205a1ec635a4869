#include "core/memory_pool.h"

#include <new>

#include "core/allocator.h"
#include "core/device_memory.h"
#include "sim/arrays.h"

namespace ranvier {

MemoryPool::~MemoryPool() {
  for (const Block& block : blocks_) {
    if (block.device.kind == DeviceKind::Sim) sim::remove_array(block.pointer);
    deallocate_on(block.device, block.pointer, block.bytes);
  }
}

void MemoryPool::keep_for_replay() {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const Block& block : blocks_) {
    if (block.device.kind != DeviceKind::Sim) continue;
    sim::add_array(block.pointer, block.bytes);
    sim::written_by_host(block.pointer);
  }
}

void* MemoryPool::allocate(Device device, std::size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  const std::pair<DeviceKind, int> owner{device.kind, device.index};
  const auto found = free_.lower_bound({owner, bytes});
  if (found != free_.end() && found->first.first == owner &&
      found->first.second <= 2 * bytes + kAlignment) {  // no more than half of a block is waste
    void* pointer = found->second;
    sizes_[pointer] = found->first.second;
    free_.erase(found);
    return pointer;
  }
  void* pointer = allocate_on(device, bytes);
  blocks_.push_back({device, pointer, bytes});
  sizes_[pointer] = bytes;
  return pointer;
}

void MemoryPool::deallocate(Device device, void* pointer) noexcept {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = sizes_.find(pointer);
  try {
    free_.emplace(Size{{device.kind, device.index}, found->second}, pointer);
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): it rests in blocks_ until the pool goes
  }
  sizes_.erase(found);
}

std::size_t MemoryPool::reserved() const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::size_t bytes = 0;
  for (const Block& block : blocks_) bytes += block.bytes;
  return bytes;
}

}  // namespace ranvier
