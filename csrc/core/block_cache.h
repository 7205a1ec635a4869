// A caching allocator over memory that is dear to get: a GPU's, pinned memory of the host, the simulator's. Segments
// are cut into blocks, what is given back joins its free neighbours and is handed out again: the scheme of PyTorch's
// CUDACachingAllocator. Own caching rather than cudaMallocAsync, because it costs a look into a tree instead of a call
// of the driver, because a recording can be given blocks that stay its own, and because the same code runs, and is
// tested, on the simulator.
//
// Stream-ordered: a block belongs to the stream it was asked for on, and goes to that stream again at once, without a
// wait, since whatever still uses it was launched there before. Work on other streams is waited for by a fence.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/allocator.h"

namespace ranvier {

class BlockCache {
 public:
  using Stream = const void*;

  // Where segments come from.
  class Source {
   public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() = default;
    virtual std::string name() const = 0;           // "cuda:0", for the message that memory is out
    virtual void* allocate(std::size_t bytes) = 0;  // null where there is none left
    virtual void release(void* segment, std::size_t bytes) noexcept = 0;
    // What has to be over before a block of stream `own` may be used again, besides what `own` was given before; null
    // where there is nothing.
    virtual void* fence(Stream own) noexcept = 0;
    virtual bool passed(void* fence) noexcept = 0;  // once true, the fence is gone
    virtual void wait_for_all() noexcept = 0;       // before segments go back: all fences are passed then
  };

  // Between two blocks lie `apart` bytes or more that are nobody's.
  explicit BlockCache(std::unique_ptr<Source> source, std::size_t apart = 0)
      : source_(std::move(source)), apart_(apart) {}

  void* allocate(std::size_t bytes, Stream stream);  // throws OutOfMemory, which names the bytes asked for
  void deallocate(void* pointer) noexcept;
  void release_cached() noexcept;  // gives every segment without a block in use back to the source
  MemoryStats stats() const;
  void reset_peak();

 private:
  struct Block {
    char* data;
    std::size_t size;
    Stream stream;
    bool small;  // of a segment for small blocks
    bool free = false;
    Block *before = nullptr, *after = nullptr;  // neighbours in the segment
  };
  struct Order {  // by stream, kind and size: the smallest that fits is found first
    bool operator()(const Block* a, const Block* b) const;
  };
  struct Fenced {
    Block* block;
    void* fence;
  };

  Block* find(std::size_t size, Stream stream);
  Block* new_segment(std::size_t size, Stream stream, std::size_t asked);
  void cut(Block* block, std::size_t size);
  void give_back(Block* block);
  void reclaim();
  void release_cached_locked();
  Block* join(Block* first, Block* second);

  mutable std::mutex mutex_;
  std::unique_ptr<Source> source_;
  std::size_t apart_;
  std::set<Block*, Order> free_;
  std::unordered_map<void*, std::unique_ptr<Block>> blocks_;  // by address: free, fenced and in use
  std::vector<Fenced> fenced_;
  MemoryStats stats_{};
};

}  // namespace ranvier
