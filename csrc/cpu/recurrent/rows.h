// Which rows of the batch take part in a step, and what the directions share.
#pragma once

#include "cpu/recurrent/product.h"
#include "ops/recurrent.h"

namespace ranvier {
namespace RANVIER_ISA {

void run_forward(const RecurrentForward<float>& p);
void run_forward(const RecurrentForward<double>& p);
// A sequence of one step, for which packing the weights would cost more than it brings.
void run_single(const RecurrentForward<float>& p);
void run_single(const RecurrentForward<double>& p);
void run_backward(const RecurrentBackward<float>& p);
void run_backward(const RecurrentBackward<double>& p);

namespace {

// Rows of the batch that one thread takes through all steps.
struct Rows {
  int64_t first;
  int64_t stride;
  int64_t count;
  int64_t operator[](int64_t i) const { return first + i * stride; }
};

// Where in x a step reads.
RANVIER_INLINE int64_t position_of(const RecurrentSizes& s, int64_t step) {
  return s.go_backwards ? s.steps - 1 - step : step;
}

RANVIER_INLINE bool is_masked(const RecurrentSizes& s, const bool* mask, int64_t row, int64_t step) {
  return mask != nullptr && !mask[row * s.steps + position_of(s, step)];
}

// Calls body(rows) for parts of the batch, one part a thread, where every thread gets enough rows to fill tiles, or
// several threads would only wait for each other at every step: a part needs no barrier. Else all rows go through
// the steps together, and the products of one step are spread over the threads. Under a mask neighbours go to
// different threads: lengths are often sorted.
template <typename Body>
RANVIER_INLINE void over_batch(const RecurrentSizes& s, const bool* mask, int64_t weight_bytes, const Body& body) {
  constexpr int64_t kRowsWorthAThread = 4;
  constexpr int64_t kSmall = 512 * 1024;
  constexpr double kSerial = 65536;
  const double work = double(s.batch) * double(s.steps) * double(s.units) * double(s.inputs + s.units);
  int64_t parts = work < kSerial ? 1 : min_of(num_threads(), s.batch);
  if (s.batch < kRowsWorthAThread * parts && weight_bytes > kSmall) parts = 1;
  if (parts <= 1) return body(Rows{0, 1, s.batch});
  parallel(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = s.batch * i / parts;
      if (mask == nullptr) {
        body(Rows{from, 1, s.batch * (i + 1) / parts - from});
      } else {
        body(Rows{i, parts, ceil_div(s.batch - i, parts)});
      }
    }
  });
}

// Calls body(i) for each panel of a step's product over `rows` rows: on several threads where that is worth
// waking them, and this is not a part of the batch already.
template <typename T, typename Body>
RANVIER_INLINE void over_panels(const Panels<T>& panels, int64_t rows, int64_t k, const Body& body) {
  constexpr int64_t kWorth = 65536;
  const int64_t count = panels.count();
  const int64_t work = max_of(1, rows * k * panels.vectors * kWidth<T>);
  const int64_t grain = max_of(ceil_div(count, num_threads()), ceil_div(kWorth, work));
  parallel(0, count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

// Arrays cut off one scratch buffer, each on a cache line.
class Carver {
 public:
  explicit Carver(char* memory) : at_(memory) {}
  template <typename U>
  U* take(int64_t count) {
    U* array = reinterpret_cast<U*>(at_);
    at_ += bytes<U>(count);
    return array;
  }
  template <typename U>
  static int64_t bytes(int64_t count) {
    return ceil_div(count * static_cast<int64_t>(sizeof(U)), 64) * 64;
  }

 private:
  char* at_;
};

RANVIER_INLINE char* scratch(ScratchSlot slot, int64_t bytes) {
  return static_cast<char*>(thread_scratch(slot, static_cast<uint64_t>(max_of(64, bytes))));
}

template <typename T>
RANVIER_INLINE void copy(const T* from, T* to, int64_t n) {
  memcpy(to, from, sizeof(T) * static_cast<uint64_t>(n));
}

template <typename T>
RANVIER_INLINE void clear(T* to, int64_t n) {
  memset(to, 0, sizeof(T) * static_cast<uint64_t>(n));
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
