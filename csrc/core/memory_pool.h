// Memory of one recording: what its arrays give back is handed out again within the recording only, so that
// the addresses its calls remember stay theirs for as long as it lives.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace ranvier {

class MemoryPool {
 public:
  MemoryPool() = default;
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;
  ~MemoryPool();

  void* allocate(std::size_t bytes);  // throws OutOfMemory
  void deallocate(void* pointer) noexcept;
  std::size_t reserved() const;  // bytes taken from the allocator

 private:
  mutable std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;             // by size: the smallest that fits is taken
  std::vector<std::pair<void*, std::size_t>> blocks_;  // all that there are
  std::map<void*, std::size_t> sizes_;                 // of the blocks handed out
};

}  // namespace ranvier
