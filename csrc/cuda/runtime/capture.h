// Memory that calls ask for while they are captured: it stays with the graph, where one call gives it to the next.
#pragma once

#include <cstddef>
#include <vector>

namespace ranvier::gpu {

class CapturedMemory {
 public:
  explicit CapturedMemory(int device) : device_(device) {}
  ~CapturedMemory();  // to the cache, behind whatever the graph still does on its stream
  CapturedMemory(const CapturedMemory&) = delete;
  CapturedMemory& operator=(const CapturedMemory&) = delete;

  int device() const { return device_; }
  void* allocate(std::size_t bytes);       // throws OutOfMemory
  bool take_back(void* pointer) noexcept;  // false for what it has not given

 private:
  struct Block {
    void* pointer;
    std::size_t bytes;
    bool free;
  };
  static constexpr std::size_t kSmall = 4096;

  int device_;
  std::vector<Block> blocks_;
};

CapturedMemory* captured_memory(int device);  // of this thread's capture on a device; null where there is none

}  // namespace ranvier::gpu
