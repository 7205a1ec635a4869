// Sizes: several integers, such as the sides of an array. The vector that it behaves like, with room for six inside:
// most arrays have fewer sides, and asking the heap for a handful of numbers costs as much as adding fifty.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <string>

namespace ranvier {

class Sizes {
 public:
  using value_type = int64_t;
  using size_type = std::size_t;
  using iterator = int64_t*;
  using const_iterator = const int64_t*;

  Sizes() = default;
  Sizes(std::initializer_list<int64_t> sides) : Sizes(sides.begin(), sides.end()) {}
  explicit Sizes(std::size_t count, int64_t side = 0) { resize(count, side); }
  template <typename Iterator, typename = typename std::iterator_traits<Iterator>::iterator_category>
  Sizes(Iterator first, Iterator last) {
    const auto count = static_cast<std::size_t>(std::distance(first, last));
    reserve(count);
    std::copy(first, last, sides_);
    size_ = count;
  }
  Sizes(const Sizes& other) : Sizes(other.begin(), other.end()) {}
  Sizes(Sizes&& other) noexcept { take(other); }
  Sizes& operator=(const Sizes& other) {
    if (this == &other) return *this;
    reserve(other.size_);
    std::copy(other.begin(), other.end(), sides_);
    size_ = other.size_;
    return *this;
  }
  Sizes& operator=(Sizes&& other) noexcept {
    if (this == &other) return *this;
    release();
    take(other);
    return *this;
  }
  ~Sizes() { release(); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int64_t* data() { return sides_; }
  const int64_t* data() const { return sides_; }
  int64_t* begin() { return sides_; }
  int64_t* end() { return sides_ + size_; }
  const int64_t* begin() const { return sides_; }
  const int64_t* end() const { return sides_ + size_; }
  int64_t& operator[](std::size_t i) { return sides_[i]; }
  const int64_t& operator[](std::size_t i) const { return sides_[i]; }
  int64_t& front() { return sides_[0]; }
  const int64_t& front() const { return sides_[0]; }
  int64_t& back() { return sides_[size_ - 1]; }
  const int64_t& back() const { return sides_[size_ - 1]; }

  void push_back(int64_t side) {
    reserve(size_ + 1);
    sides_[size_++] = side;
  }
  void pop_back() { --size_; }
  void clear() { size_ = 0; }
  void resize(std::size_t count, int64_t side = 0) {
    reserve(count);
    if (count > size_) std::fill(sides_ + size_, sides_ + count, side);
    size_ = count;
  }
  template <typename Iterator>
  int64_t* insert(const int64_t* before, Iterator first, Iterator last) {  // not from this very shape
    const std::ptrdiff_t at = before - sides_, count = std::distance(first, last);
    reserve(size_ + static_cast<std::size_t>(count));
    std::copy_backward(sides_ + at, sides_ + size_, sides_ + size_ + count);
    std::copy(first, last, sides_ + at);
    size_ += static_cast<std::size_t>(count);
    return sides_ + at;
  }
  int64_t* insert(const int64_t* before, int64_t side) { return insert(before, &side, &side + 1); }
  int64_t* insert(const int64_t* before, std::initializer_list<int64_t> sides) {
    return insert(before, sides.begin(), sides.end());
  }
  int64_t* erase(const int64_t* first, const int64_t* last) {
    int64_t* to = sides_ + (first - sides_);
    size_ = static_cast<std::size_t>(std::copy(last, static_cast<const int64_t*>(end()), to) - sides_);
    return to;
  }
  int64_t* erase(const int64_t* at) { return erase(at, at + 1); }
  void reserve(std::size_t count) {
    if (count > capacity_) grow(count);
  }

  bool operator==(const Sizes& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }
  bool operator!=(const Sizes& other) const { return !(*this == other); }

 private:
  static constexpr std::size_t kInside = 6;

  void grow(std::size_t count) {
    const std::size_t capacity = std::max(count, 2 * capacity_);
    auto* larger = new int64_t[capacity];
    std::copy(begin(), end(), larger);
    if (sides_ != inside_) delete[] sides_;
    sides_ = larger;
    capacity_ = capacity;
  }
  void release() {
    if (sides_ != inside_) delete[] sides_;
    sides_ = inside_;
    capacity_ = kInside;
    size_ = 0;
  }
  void take(Sizes& other) {  // we are empty
    if (other.sides_ == other.inside_) {
      std::memcpy(inside_, other.inside_, sizeof(inside_));  // all of it: a few vectors, no loop
    } else {
      sides_ = other.sides_;
      capacity_ = other.capacity_;
      other.sides_ = other.inside_;
      other.capacity_ = kInside;
    }
    size_ = other.size_;
    other.size_ = 0;
  }

  int64_t* sides_ = inside_;
  std::size_t size_ = 0, capacity_ = kInside;
  int64_t inside_[kInside] = {};  // NOLINT(*-avoid-c-arrays)
};

}  // namespace ranvier
