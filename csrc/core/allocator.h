// A caching allocator for host memory: freed blocks are kept by size class and handed out again, so
// that a steady training loop takes nothing from the system. (A fresh 25 MB output costs more in page
// faults than the kernel that fills it.)
#pragma once

#include <cstddef>
#include <cstdint>

namespace ranvier {

constexpr std::size_t kAlignment = 64;  // bytes: one cache line, one AVX-512 vector

struct MemoryStats {
  int64_t in_use;              // bytes handed out now, rounded up to their size classes
  int64_t peak_in_use;         // the largest in_use so far
  int64_t reserved;            // bytes taken from the system: in use or cached
  int64_t allocations;         // requests served
  int64_t system_allocations;  // requests that had to go to the system
};

// Throws OutOfMemory, which names the bytes asked for. Zero bytes give a valid pointer.
void* allocate(std::size_t bytes);
void deallocate(void* pointer, std::size_t bytes) noexcept;
void release_cached_memory() noexcept;  // gives every cached block back to the system
MemoryStats memory_stats();
void reset_peak_memory();

}  // namespace ranvier
