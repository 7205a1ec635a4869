#include "core/memory_pool.h"

#include <new>

#include "core/allocator.h"

namespace ranvier {

MemoryPool::~MemoryPool() {
  for (const auto& [pointer, bytes] : blocks_) ranvier::deallocate(pointer, bytes);
}

void* MemoryPool::allocate(std::size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = free_.lower_bound(bytes);
  if (found != free_.end() && found->first <= 2 * bytes + kAlignment) {  // no more than half of a block is waste
    void* pointer = found->second;
    sizes_[pointer] = found->first;
    free_.erase(found);
    return pointer;
  }
  void* pointer = ranvier::allocate(bytes);
  blocks_.emplace_back(pointer, bytes);
  sizes_[pointer] = bytes;
  return pointer;
}

void MemoryPool::deallocate(void* pointer) noexcept {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = sizes_.find(pointer);
  try {
    free_.emplace(found->second, pointer);
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): it rests in blocks_ until the pool goes
  }
  sizes_.erase(found);
}

std::size_t MemoryPool::reserved() const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::size_t bytes = 0;
  for (const auto& block : blocks_) bytes += block.second;
  return bytes;
}

}  // namespace ranvier
