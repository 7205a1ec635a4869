// The simulator's device memory: one stretch of addresses, handed out by the cache that serves GPUs, and closed to the
// host but for the time of a launch or a copy.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "core/block_cache.h"
#include "core/error.h"
#include "sim/arrays.h"

namespace ranvier::sim {
namespace {

constexpr std::size_t kMost = std::size_t{256} << 30;  // of addresses; memory is taken as it is written
constexpr std::size_t kLeast = std::size_t{1} << 30;   // where the process may not have more
constexpr std::size_t kApart = 64;                     // bytes at least from one array to the next: no kernel's

bool guarded() {
  static const bool on = [] {
    const char* value = std::getenv("RANVIER_SIM_GUARD");
    return value == nullptr || std::strcmp(value, "0") != 0;
  }();
  return on;
}

class Arena {
 public:
  Arena() {
    for (size_ = kMost; size_ >= kLeast; size_ /= 2) {
      void* begin = mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (begin == MAP_FAILED) continue;
      begin_ = static_cast<char*>(begin);
      return;
    }
    size_ = 0;
  }

  void* take(std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (const auto found = given_back_.find(bytes); found != given_back_.end()) {
      void* segment = found->second;
      given_back_.erase(found);
      return segment;
    }
    if (bytes > size_ - used_) return nullptr;
    char* segment = begin_ + used_;
    if (open_ > 0 || !guarded()) {
      if (mprotect(segment, bytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
    }
    used_ += bytes;
    return segment;
  }

  void give_back(void* segment, std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    madvise(segment, bytes, MADV_DONTNEED);
    given_back_.emplace(bytes, segment);
  }

  // Several threads may have it open.
  void enter() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (open_++ > 0 || !guarded() || used_ == 0) return;
    if (mprotect(begin_, used_, PROT_READ | PROT_WRITE) != 0) {
      --open_;
      throw OutOfMemory(message("sim: the system refuses ", used_, " bytes of memory"));
    }
  }

  void leave() noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--open_ == 0 && guarded() && used_ > 0) mprotect(begin_, used_, PROT_NONE);
  }

 private:
  std::mutex mutex_;
  char* begin_ = nullptr;
  std::size_t size_ = 0, used_ = 0;
  int open_ = 0;
  std::multimap<std::size_t, void*> given_back_;
};

Arena& arena() {
  static auto* instance = new Arena;  // never destroyed: arrays may outlive static destruction
  return *instance;
}

class Segments final : public BlockCache::Source {
 public:
  std::string name() const override { return "sim"; }
  void* allocate(std::size_t bytes) override { return arena().take(bytes); }
  void release(void* segment, std::size_t bytes) noexcept override { arena().give_back(segment, bytes); }
  void* fence(BlockCache::Stream) noexcept override { return nullptr; }  // launches are over when they return
  bool passed(void*) noexcept override { return true; }
  void wait_for_all() noexcept override {}
};

BlockCache& cache() {
  static auto* instance = new BlockCache(std::make_unique<Segments>(), kApart);
  return *instance;
}

}  // namespace

void* allocate(std::size_t bytes) { return cache().allocate(bytes, nullptr); }
void deallocate(void* data) noexcept { cache().deallocate(data); }
MemoryStats memory_stats() { return cache().stats(); }

void Window::enter() { arena().enter(); }
void Window::leave() noexcept { arena().leave(); }

}  // namespace ranvier::sim
