// Array: a typed, always C-contiguous, reference-counted block on one device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "core/sizes.h"

namespace ranvier {

using Shape = Sizes;

std::string shape_text(const Shape& shape);  // "64x28x28x1"; "scalar" for ()

// Number of elements; throws ValueError for a negative side, or more than 2^59 elements (not counting sides of
// zero, so that products of parts of a shape cannot overflow).
int64_t element_count(const Shape& shape);

class MemoryPool;

// Memory shared by an array and its zero-copy views. The version rises with every in-place write, so
// that backward can tell a saved buffer that has changed since.
struct Storage {
  void* data = nullptr;
  std::size_t bytes = 0;
  Device device;
  bool readonly = false;
  bool simulated = false;  // the simulator knows it (device `sim`)
  bool constant = false;   // values from the host while a step was recorded: not to be written in place
  uint64_t version = 0;
  std::function<void()> release;     // set for memory that another owner lends us
  std::shared_ptr<MemoryPool> pool;  // where the memory goes back to, if not to the allocator

  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage();
};

class Array {
 public:
  Array() = default;
  Array(const Array& other);
  Array(Array&&) noexcept = default;
  Array& operator=(const Array&) = default;
  Array& operator=(Array&&) noexcept = default;
  ~Array() = default;

  static Array empty(Shape shape, DType dtype, Device device = {});
  static Array constant(Shape shape, DType dtype, Device device = {});  // empty, and the host is about to fill it
  static Array zeros(Shape shape, DType dtype, Device device = {});
  // Memory of another owner; `release` runs once, when the last view has gone.
  static Array borrow(void* data, Shape shape, DType dtype, Device device, bool readonly,
                      std::function<void()> release);
  Array copy() const;  // of the values, in memory of its own
  static Array empty_like(const Array& other) { return empty(other.shape_, other.dtype_, other.device()); }

  const Shape& shape() const { return shape_; }
  int64_t shape(int axis) const { return shape_[axis]; }
  int rank() const { return static_cast<int>(shape_.size()); }
  int64_t size() const { return size_; }
  std::size_t bytes() const { return size_ * dtype_size(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_->device; }
  bool readonly() const { return storage_->readonly; }
  uint64_t version() const { return storage_->version; }
  void bump_version() const;
  void mark_constant() { storage_->constant = true; }
  void mark_written() const;  // by the host, all of it: the simulator asks

  // Zero-copy views of the same storage.
  Array reshape(Shape shape) const;                       // ValueError unless the element counts agree
  Array slice_leading(int64_t begin, int64_t end) const;  // rows begin..end of the first axis
  // The same memory without its shape, for a dispatch body: all that most kernels need, and cheap to hold. It owns the
  // memory only while a step is recorded, whose calls outlive the op.
  Array lent() const;
  bool shares_memory_with(const Array& other) const { return storage_ == other.storage_; }

  const void* raw() const { return static_cast<const char*>(storage_->data) + offset_; }
  void* raw() { return static_cast<char*>(storage_->data) + offset_; }
  template <typename T>
  const T* data() const {
    return static_cast<const T*>(raw());
  }
  template <typename T>
  T* data() {
    return static_cast<T*>(raw());
  }

 private:
  std::shared_ptr<Storage> storage_;
  std::size_t offset_ = 0;  // bytes
  Shape shape_;
  int64_t size_ = 0;
  DType dtype_ = DType::Float32;
};

// While one lives, copies of arrays from `pool` do not own their memory: a recording's calls know where their
// temporaries were, and do not keep them.
class Borrowing {
 public:
  explicit Borrowing(const MemoryPool* pool) : outer_(pool_) { pool_ = pool; }
  ~Borrowing() { pool_ = outer_; }
  Borrowing(const Borrowing&) = delete;
  Borrowing& operator=(const Borrowing&) = delete;
  static const MemoryPool* pool() { return pool_; }

 private:
  const MemoryPool* outer_;
  static thread_local const MemoryPool* pool_;
};

}  // namespace ranvier
