#include "core/array.h"

#include "core/device_memory.h"
#include "core/error.h"
#include "core/memory_pool.h"
#include "core/recording.h"
#include "sim/arrays.h"

namespace ranvier {

std::string shape_text(const Shape& shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += 'x';
    text += std::to_string(shape[i]);
  }
  return text;
}

// Sides of zero do not hide what the others amount to: ops multiply parts of a shape.
int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t side : shape) {
    if (side < 0) throw ValueError(message("shape ", shape_text(shape), " has a negative side"));
    if (side == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, side, &count) || count > (INT64_MAX >> 4)) {
      throw ValueError(message("shape ", shape_text(shape), " has too many elements"));
    }
  }
  return empty ? 0 : count;
}

Storage::~Storage() {
  if (simulated && !pool) sim::remove_array(data);  // a recording runs its calls again
  if (release) {
    release();
  } else if (pool) {
    pool->deallocate(device, data);
  } else if (data != nullptr) {
    deallocate_on(device, data, bytes);
  }
}

thread_local const MemoryPool* Borrowing::pool_ = nullptr;

namespace {

void tell_simulator(Storage& storage) {
  if (storage.device.kind != DeviceKind::Sim) return;
  sim::add_array(storage.data, storage.bytes);
  storage.simulated = true;
}

// The same memory, not owned.
std::shared_ptr<Storage> borrowed(const Storage& owner) {
  auto storage = std::make_shared<Storage>();
  storage->data = owner.data;
  storage->bytes = owner.bytes;
  storage->device = owner.device;
  storage->readonly = owner.readonly;
  storage->release = [] {};
  return storage;
}

}  // namespace

Array::Array(const Array& other)
    : storage_(other.storage_), offset_(other.offset_), shape_(other.shape_), size_(other.size_), dtype_(other.dtype_) {
  const MemoryPool* pool = Borrowing::pool();
  if (pool != nullptr && storage_ && storage_->pool.get() == pool) storage_ = borrowed(*storage_);
}

void Array::bump_version() const {
  storage_->version++;
  if (Recording* recording = Recording::current()) recording->keep_version_of(storage_);
}

void Array::mark_written() const {
  if (storage_->simulated) sim::written_by_host(storage_->data);
}

Array Array::empty(Shape shape, DType dtype, Device device) {
  Array array;
  array.size_ = element_count(shape);
  array.shape_ = std::move(shape);
  array.dtype_ = dtype;
  array.storage_ = std::make_shared<Storage>();
  array.storage_->device = device;
  array.storage_->bytes = array.bytes();
  if (Recording* recording = Recording::current()) {
    array.storage_->data = recording->pool()->allocate(device, array.bytes());
    array.storage_->pool = recording->pool();
  } else {
    array.storage_->data = allocate_on(device, array.bytes());
  }
  tell_simulator(*array.storage_);
  return array;
}

Array Array::constant(Shape shape, DType dtype, Device device) {
  Array array;
  {
    const Recording::Pause pause;
    array = empty(std::move(shape), dtype, device);
  }
  note_constant(array);
  array.mark_written();
  return array;
}

Array Array::zeros(Shape shape, DType dtype, Device device) {
  Array array = empty(std::move(shape), dtype, device);
  if (Recording::current() == nullptr) {
    zero_bytes(device, array.raw(), array.bytes());
  } else {
    run("zeros", [array]() mutable { zero_bytes(array.device(), array.raw(), array.bytes()); });
  }
  array.mark_written();
  return array;
}

Array Array::copy() const {
  Array copy = empty(shape_, dtype_, device());
  run("copy", [from = *this, to = copy]() mutable {
    copy_bytes(to.device(), to.raw(), from.device(), from.raw(), from.bytes());
  });
  copy.mark_written();
  return copy;
}

Array Array::borrow(void* data, Shape shape, DType dtype, Device device, bool readonly, std::function<void()> release) {
  Array array;
  array.storage_ = std::make_shared<Storage>();
  array.storage_->data = data;
  array.storage_->device = device;
  array.storage_->readonly = readonly;
  array.storage_->release = std::move(release);
  array.size_ = element_count(shape);
  array.shape_ = std::move(shape);
  array.dtype_ = dtype;
  array.storage_->bytes = array.bytes();
  tell_simulator(*array.storage_);
  array.mark_written();
  return array;
}

Array Array::reshape(Shape shape) const {
  if (element_count(shape) != size_) {
    throw ValueError(
        message("reshape: cannot turn shape ", shape_text(shape_), " (", size_, " elements) into ", shape_text(shape)));
  }
  Array view;
  view.storage_ = storage_;
  view.offset_ = offset_;
  view.shape_ = std::move(shape);
  view.size_ = size_;
  view.dtype_ = dtype_;
  return view;
}

Array Array::lent() const {
  Array view;
  view.storage_ =
      Recording::current() != nullptr ? storage_ : std::shared_ptr<Storage>(std::shared_ptr<void>(), storage_.get());
  view.offset_ = offset_;
  view.size_ = size_;
  view.dtype_ = dtype_;
  return view;
}

Array Array::slice_leading(int64_t begin, int64_t end) const {
  if (rank() == 0 || begin < 0 || end < begin || end > shape_[0]) {
    throw ValueError(message("slice: rows ", begin, " to ", end, " are not within shape ", shape_text(shape_)));
  }
  Array view = *this;
  const int64_t row = shape_[0] == 0 ? 0 : size_ / shape_[0];
  view.shape_[0] = end - begin;
  view.size_ = row * (end - begin);
  view.offset_ += static_cast<std::size_t>(begin * row) * dtype_size(dtype_);
  return view;
}

}  // namespace ranvier
