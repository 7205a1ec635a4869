#include "core/allocator.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "core/error.h"

namespace ranvier {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Blocks of many pages begin at different places of a page. Where two arrays that are read and one that is written all
// begin at the same, loads wait for stores that only look alike (processors compare the lowest 12 bits first): adding
// 13 000 floats takes 1.7 us at one place, 1.3 at places 1 KB apart.
constexpr std::size_t kPage = 4096;
constexpr std::size_t kPlacedFrom = 4 * kPage;
constexpr std::size_t kPlaceStep = 17 * kAlignment;
static_assert(kPlaceStep % kAlignment == 0 && kPlaceStep > kPage / 4 && kPlaceStep < kPage / 2);

bool is_placed(std::size_t size) { return size >= kPlacedFrom && size < kHugePage; }

void free_block(void* pointer, std::size_t size) noexcept {
  const std::uintptr_t place = is_placed(size) ? reinterpret_cast<std::uintptr_t>(pointer) % kPage : 0;
  std::free(static_cast<char*>(pointer) - place);
}

// Size classes: eight steps per power of two, so that at most an eighth of a block is waste.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= 8 * kAlignment) return std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  std::size_t power = 8 * kAlignment;
  while (power < bytes && power <= (SIZE_MAX >> 2)) power *= 2;
  const std::size_t step = power / 16;
  if (bytes > SIZE_MAX - step) return bytes;
  return (bytes + step - 1) / step * step;
}

class CachingAllocator {
 public:
  void* allocate(std::size_t bytes) {
    const std::size_t size = size_class(bytes);
    std::lock_guard<std::mutex> lock(mutex_);
    stats_.allocations++;
    void* pointer = nullptr;
    std::vector<void*>& blocks = blocks_of(size);
    if (!blocks.empty()) {
      pointer = blocks.back();
      blocks.pop_back();
    } else {
      pointer = from_system(size, bytes);
    }
    stats_.in_use += static_cast<int64_t>(size);
    stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.in_use);
    return pointer;
  }

  void deallocate(void* pointer, std::size_t bytes) noexcept {
    const std::size_t size = size_class(bytes);
    std::lock_guard<std::mutex> lock(mutex_);
    stats_.in_use -= static_cast<int64_t>(size);
    try {
      blocks_of(size).push_back(pointer);
    } catch (const std::bad_alloc&) {  // no memory to keep it in the list
      free_block(pointer, size);
      stats_.reserved -= static_cast<int64_t>(size);
    }
  }

  // Around a fork: the child must not inherit the lock from a thread that it does not have.
  void before_fork() { mutex_.lock(); }
  void after_fork() { mutex_.unlock(); }

  void release_cached() {
    std::lock_guard<std::mutex> lock(mutex_);
    release_cached_locked();
  }

  MemoryStats stats() {
    std::lock_guard<std::mutex> lock(mutex_);
    return stats_;
  }

  void reset_peak() {
    std::lock_guard<std::mutex> lock(mutex_);
    stats_.peak_in_use = stats_.in_use;
  }

 private:
  void* from_system(std::size_t size, std::size_t asked) {
    void* pointer = system_block(size);
    if (pointer == nullptr) {  // the cache may hold what we need in other sizes
      release_cached_locked();
      pointer = system_block(size);
    }
    if (pointer == nullptr) throw OutOfMemory(message("out of memory: ", asked, " bytes asked for"));
    stats_.system_allocations++;
    stats_.reserved += static_cast<int64_t>(size);
    return pointer;
  }

  void* system_block(std::size_t size) {
    if (size > static_cast<std::size_t>(INT64_MAX)) return nullptr;
    void* pointer = nullptr;
    if (is_placed(size)) {
      place_ = (place_ + kPlaceStep) % kPage;
      if (posix_memalign(&pointer, kPage, size + place_) != 0) return nullptr;
      return static_cast<char*>(pointer) + place_;
    }
    const std::size_t alignment = size >= kHugePage ? kHugePage : kAlignment;
    if (posix_memalign(&pointer, alignment, size) != 0) return nullptr;
#if defined(__linux__)
    if (size >= kHugePage) madvise(pointer, size, MADV_HUGEPAGE);  // a third of the page-fault time
#endif
    return pointer;
  }

  // The free blocks of a size class; the smallest classes, which are asked for most, without a search.
  std::vector<void*>& blocks_of(std::size_t size) {
    return size <= kSmallClasses * kAlignment ? small_[size / kAlignment - 1] : free_[size];
  }

  void release_cached_locked() {
    for (std::size_t i = 0; i < kSmallClasses; ++i) release(small_[i], (i + 1) * kAlignment);
    for (auto& [size, blocks] : free_) release(blocks, size);
  }

  void release(std::vector<void*>& blocks, std::size_t size) {
    for (void* block : blocks) free_block(block, size);
    stats_.reserved -= static_cast<int64_t>(size * blocks.size());
    blocks.clear();
  }

  static constexpr std::size_t kSmallClasses = 8;

  std::mutex mutex_;
  std::array<std::vector<void*>, kSmallClasses> small_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;
  std::size_t place_ = 0;  // in its page, of the block last got from the system
  MemoryStats stats_{};
};

CachingAllocator& allocator();

CachingAllocator* new_allocator() {
  pthread_atfork([] { allocator().before_fork(); }, [] { allocator().after_fork(); }, [] { allocator().after_fork(); });
  return new CachingAllocator;
}

// Never destroyed: arrays may outlive static destruction.
CachingAllocator& allocator() {
  static CachingAllocator* instance = new_allocator();
  return *instance;
}

}  // namespace

void* allocate(std::size_t bytes) { return allocator().allocate(bytes); }

void deallocate(void* pointer, std::size_t bytes) noexcept { allocator().deallocate(pointer, bytes); }

void release_cached_memory() noexcept { allocator().release_cached(); }
MemoryStats memory_stats() { return allocator().stats(); }
void reset_peak_memory() { allocator().reset_peak(); }

}  // namespace ranvier
