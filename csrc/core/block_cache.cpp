#include "core/block_cache.h"

#include <algorithm>
#include <functional>
#include <new>
#include <tuple>

#include "core/error.h"

namespace ranvier {
namespace {

// PyTorch's sizes. Small blocks live apart, so that they do not keep large segments from going back.
constexpr std::size_t kStep = 512;                             // every block is a multiple of it
constexpr std::size_t kSmall = std::size_t{1} << 20;           // up to here a block is small
constexpr std::size_t kSmallSegment = std::size_t{2} << 20;    // what small blocks are cut from
constexpr std::size_t kMiddle = std::size_t{10} << 20;         // up to here a block is cut from
constexpr std::size_t kMiddleSegment = std::size_t{20} << 20;  // such a segment; larger ones have their own,
constexpr std::size_t kLargeStep = std::size_t{2} << 20;       // a multiple of it

std::size_t rounded(std::size_t bytes, std::size_t step) { return (bytes + step - 1) / step * step; }

std::size_t segment_size(std::size_t size) {
  if (size <= kSmall) return kSmallSegment;
  if (size < kMiddle) return kMiddleSegment;
  return rounded(size, kLargeStep);
}

}  // namespace

bool BlockCache::Order::operator()(const Block* a, const Block* b) const {
  if (a->stream != b->stream) return std::less<>()(a->stream, b->stream);
  return std::tie(a->small, a->size, a->data) < std::tie(b->small, b->size, b->data);
}

void* BlockCache::allocate(std::size_t bytes, Stream stream) {
  if (bytes > (SIZE_MAX >> 2)) throw OutOfMemory(message("out of memory: ", bytes, " bytes asked for"));
  const std::size_t size = rounded(std::max<std::size_t>(bytes + apart_, 1), kStep);
  const std::lock_guard<std::mutex> lock(mutex_);
  reclaim();
  Block* block = find(size, stream);
  if (block == nullptr) block = new_segment(size, stream, bytes);
  cut(block, size);
  stats_.allocations++;
  stats_.in_use += static_cast<int64_t>(block->size);
  stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.in_use);
  return block->data;
}

void BlockCache::deallocate(void* pointer) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = blocks_.find(pointer);
  if (found == blocks_.end()) return;
  Block* block = found->second.get();
  stats_.in_use -= static_cast<int64_t>(block->size);
  try {
    if (void* fence = source_->fence(block->stream)) return fenced_.push_back({block, fence});
    give_back(block);
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): no memory to remember it by; it rests
  }
}

void BlockCache::release_cached() noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  try {
    release_cached_locked();
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the rest stays cached
  }
}

MemoryStats BlockCache::stats() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

void BlockCache::reset_peak() {
  const std::lock_guard<std::mutex> lock(mutex_);
  stats_.peak_in_use = stats_.in_use;
}

BlockCache::Block* BlockCache::find(std::size_t size, Stream stream) {
  Block wanted{nullptr, size, stream, size <= kSmall};
  const auto found = free_.lower_bound(&wanted);
  if (found == free_.end() || (*found)->stream != stream || (*found)->small != wanted.small) return nullptr;
  Block* block = *found;
  free_.erase(found);
  block->free = false;
  return block;
}

BlockCache::Block* BlockCache::new_segment(std::size_t size, Stream stream, std::size_t asked) {
  const std::size_t bytes = segment_size(size);
  void* data = source_->allocate(bytes);
  if (data == nullptr) {  // the cache may hold what we need in other pieces
    release_cached_locked();
    data = source_->allocate(bytes);
  }
  if (data == nullptr) {
    throw OutOfMemory(message("out of memory on ", source_->name(), ": ", asked, " bytes asked for, ", stats_.in_use,
                              " bytes in use"));
  }
  auto block = std::make_unique<Block>(Block{static_cast<char*>(data), bytes, stream, size <= kSmall});
  Block* segment = block.get();
  blocks_[data] = std::move(block);
  stats_.system_allocations++;
  stats_.reserved += static_cast<int64_t>(bytes);
  return segment;
}

// What the block has beyond `size` becomes a free block, where it is worth one.
void BlockCache::cut(Block* block, std::size_t size) {
  const std::size_t rest = block->size - size;
  if (rest < (block->small ? kStep : kSmall + 1)) return;
  auto owner = std::make_unique<Block>(Block{block->data + size, rest, block->stream, block->small});
  Block* tail = owner.get();
  tail->before = block;
  tail->after = block->after;
  blocks_[tail->data] = std::move(owner);
  if (tail->after != nullptr) tail->after->before = tail;
  block->after = tail;
  block->size = size;
  tail->free = true;
  free_.insert(tail);
}

BlockCache::Block* BlockCache::join(Block* first, Block* second) {
  first->size += second->size;
  first->after = second->after;
  if (first->after != nullptr) first->after->before = first;
  blocks_.erase(second->data);
  return first;
}

void BlockCache::give_back(Block* block) {
  if (Block* before = block->before; before != nullptr && before->free) {
    free_.erase(before);
    block = join(before, block);
  }
  if (Block* after = block->after; after != nullptr && after->free) {
    free_.erase(after);
    block = join(block, after);
  }
  block->free = true;
  free_.insert(block);
}

void BlockCache::reclaim() {
  for (std::size_t i = 0; i < fenced_.size();) {
    if (!source_->passed(fenced_[i].fence)) {
      ++i;
      continue;
    }
    Block* block = fenced_[i].block;
    fenced_[i] = fenced_.back();
    fenced_.pop_back();
    give_back(block);
  }
}

void BlockCache::release_cached_locked() {
  source_->wait_for_all();
  reclaim();
  for (auto next = free_.begin(); next != free_.end();) {
    Block* block = *next;
    if (block->before != nullptr || block->after != nullptr) {
      ++next;
      continue;
    }
    next = free_.erase(next);
    source_->release(block->data, block->size);
    stats_.reserved -= static_cast<int64_t>(block->size);
    blocks_.erase(block->data);
  }
}

}  // namespace ranvier
