// Arrays on device `sim` lie in memory of the host that the host may not touch, as with a GPU: it is open while a
// kernel runs or a copy is made, and closed otherwise, so that a host's read of a device's array ends the process at
// the line that does it (RANVIER_SIM_GUARD=0 leaves it open). The simulator knows each array, to tell what a kernel may
// touch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/allocator.h"

namespace ranvier::sim {

void* allocate(std::size_t bytes);  // throws OutOfMemory
void deallocate(void* data) noexcept;
MemoryStats memory_stats();

// While one lives, the host may touch what it allocated.
class Window {
 public:
  explicit Window(bool open = true) : open_(open) {
    if (open_) enter();
  }
  ~Window() {
    if (open_) leave();
  }
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

 private:
  static void enter();
  static void leave() noexcept;
  bool open_;
};

void add_array(const void* data, std::uint64_t bytes);  // nothing in it is known yet
void written_by_host(const void* data);  // all of it is: until then, reading what no kernel wrote is an error
void remove_array(const void* data);

}  // namespace ranvier::sim
