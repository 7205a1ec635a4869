// Device memory and pinned host memory, both from caches, and copies that do not wait where they need not.
#include <array>
#include <cstring>
#include <memory>
#include <mutex>

#include "core/block_cache.h"
#include "core/error.h"
#include "core/live.h"
#include "cuda/runtime/capture.h"
#include "cuda/runtime/status.h"

namespace ranvier::gpu {
namespace {

// Events that have to happen before memory may be used again.
struct Fence {
  cudaEvent_t events[kMostStreams] = {};
  int count = 0;

  Fence() = default;
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;
  ~Fence() {
    for (int i = 0; i < count; ++i) cudaEventDestroy(events[i]);
  }
  bool passed() const {
    for (int i = 0; i < count; ++i) {
      if (cudaEventQuery(events[i]) == cudaErrorNotReady) return cudaGetLastError(), false;
    }
    return true;  // or failed: then nothing runs any more
  }
};

// What both kinds of memory share: fences of events.
class Source : public BlockCache::Source {
 public:
  explicit Source(int device) : device_(device) {}

  bool passed(void* fence) noexcept final {
    auto* own = static_cast<Fence*>(fence);
    if (!own->passed()) return false;
    delete own;
    return true;
  }

  void wait_for_all() noexcept final {
    const OnDevice here({DeviceKind::Cuda, device_});
    cudaDeviceSynchronize();  // a failure shows where it can be said
  }

 protected:
  // A fence, unless it would be empty. Where events cannot be had the device is waited for instead.
  template <typename Record>
  void* fence_of(const Record& record) noexcept {
    try {
      auto fence = std::make_unique<Fence>();
      record(*fence);
      return fence->count == 0 ? nullptr : fence.release();
    } catch (...) {
      wait_for_all();
      return nullptr;
    }
  }

  int device_;
};

class DeviceMemory final : public Source {
 public:
  using Source::Source;
  std::string name() const override { return device_name({DeviceKind::Cuda, device_}); }

  void* allocate(std::size_t bytes) override {
    const OnDevice here({DeviceKind::Cuda, device_});
    void* data = nullptr;
    const cudaError_t status = cudaMalloc(&data, bytes);
    if (status == cudaErrorMemoryAllocation) return cudaGetLastError(), nullptr;
    check(status, "allocating memory");
    return data;
  }

  void release(void* segment, std::size_t) noexcept override {
    const OnDevice here({DeviceKind::Cuda, device_});
    cudaFree(segment);
  }

  // The block's own stream needs none; others may have read it.
  void* fence(BlockCache::Stream own) noexcept override {
    return fence_of([&](Fence& fence) {
      auto* stream = static_cast<cudaStream_t>(const_cast<void*>(own));
      fence.count = record_on_streams(device_, stream, fence.events, kMostStreams);
    });
  }
};

// Pinned memory of the host: the GPU reads and writes it while the host goes on. The host does not wait for streams, so
// a block is free again only when the copy is over.
class PinnedMemory final : public Source {
 public:
  using Source::Source;
  std::string name() const override { return "the host (pinned memory)"; }

  void* allocate(std::size_t bytes) override {
    const OnDevice here({DeviceKind::Cuda, device_});
    void* data = nullptr;
    if (cudaHostAlloc(&data, bytes, cudaHostAllocPortable) == cudaSuccess) return data;
    cudaGetLastError();
    return nullptr;
  }

  void release(void* segment, std::size_t) noexcept override { cudaFreeHost(segment); }

  void* fence(BlockCache::Stream own) noexcept override {
    return fence_of([&](Fence& fence) {
      const OnDevice here({DeviceKind::Cuda, device_});
      check(cudaEventCreateWithFlags(&fence.events[0], cudaEventDisableTiming), "making an event");
      fence.count = 1;
      check(cudaEventRecord(fence.events[0], static_cast<cudaStream_t>(const_cast<void*>(own))), "recording an event");
    });
  }
};

struct Caches {
  explicit Caches(int device)
      : memory(std::make_unique<DeviceMemory>(device)), pinned(std::make_unique<PinnedMemory>(device)) {}
  BlockCache memory, pinned;
};

// Made when first asked for, never destroyed: arrays may outlive static destruction.
Caches& caches(int device) {
  static std::array<std::once_flag, kMaxDevices> once;
  static std::array<Caches*, kMaxDevices> all{};
  const auto at = static_cast<std::size_t>(device);
  std::call_once(once[at], [&] {
    require(device);
    all[at] = new Caches(device);
  });
  return *all[at];
}

constexpr std::size_t kStaged = std::size_t{32} << 20;  // larger copies from the host are left to the driver, and wait

// Pinned memory for the time of a copy; null where there is none to be had.
class Staging {
 public:
  Staging(BlockCache& cache, std::size_t bytes, cudaStream_t stream) : cache_(cache) {
    try {
      if (bytes <= kStaged) data_ = cache_.allocate(bytes, stream);
    } catch (const OutOfMemory&) {  // NOLINT(bugprone-empty-catch): it goes without
    }
  }
  ~Staging() {
    if (data_ != nullptr) cache_.deallocate(data_);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  void* data() const { return data_; }

 private:
  BlockCache& cache_;
  void* data_ = nullptr;
};

}  // namespace

void* allocate(int device, std::size_t bytes) {
  if (CapturedMemory* captured = captured_memory(device)) return captured->allocate(bytes);
  return caches(device).memory.allocate(bytes, stream_now(device));
}

void deallocate(int device, void* pointer) noexcept {
  CapturedMemory* captured = captured_memory(device);
  if (captured == nullptr || !captured->take_back(pointer)) caches(device).memory.deallocate(pointer);
}

MemoryStats memory_stats(int device) { return caches(device).memory.stats(); }
void reset_peak_memory(int device) { caches(device).memory.reset_peak(); }

void release_cached_memory(int device) noexcept {
  caches(device).memory.release_cached();
  caches(device).pinned.release_cached();
}

void zero(int device, void* to, std::size_t bytes) {
  if (bytes == 0) return;
  const OnDevice here({DeviceKind::Cuda, device});
  check(cudaMemsetAsync(to, 0, bytes, stream_now(device)), "filling memory with zeros");
}

void copy_to_device(int device, void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  note_live();
  const OnDevice here({DeviceKind::Cuda, device});
  cudaStream_t stream = stream_now(device);
  const Staging staging(caches(device).pinned, bytes, stream);
  if (staging.data() != nullptr) std::memcpy(staging.data(), from, bytes);
  const void* source = staging.data() != nullptr ? staging.data() : from;
  check(cudaMemcpyAsync(to, source, bytes, cudaMemcpyHostToDevice, stream), "copying to the device");
  // `from` may be the caller's own pinned memory, which the driver would read later.
  if (staging.data() == nullptr) check(cudaStreamSynchronize(stream), "copying to the device");
}

void copy_to_host(int device, void* to, const void* from, std::size_t bytes) {
  note_live();
  const OnDevice here({DeviceKind::Cuda, device});
  cudaStream_t stream = stream_now(device);
  if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), "copying to the host");
  check(cudaStreamSynchronize(stream), "copying to the host");
}

void copy_between(int to_device, void* to, int from_device, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  const OnDevice here({DeviceKind::Cuda, to_device});
  cudaStream_t stream = stream_now(to_device);
  if (to_device == from_device) {
    return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream), "copying on the device");
  }
  note_live();  // events between streams, of which a graph of one stream knows nothing
  // The values must be there before, and must stay until after.
  const auto there = reinterpret_cast<Handle>(stream_now(from_device)), mine = reinterpret_cast<Handle>(stream);
  const Handle ready = new_event(from_device, false), over = new_event(to_device, false);
  struct Events {
    Handle first, second;
    ~Events() {
      free_event(first);
      free_event(second);
    }
  } events{ready, over};
  record_event(from_device, ready, there);
  wait_for_event(to_device, mine, ready);
  check(cudaMemcpyPeerAsync(to, to_device, from, from_device, bytes, stream), "copying between devices");
  record_event(to_device, over, mine);
  wait_for_event(from_device, there, over);
}

}  // namespace ranvier::gpu
