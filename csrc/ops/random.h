// Random arrays from Philox4x32-10, and dropout, whose mask is one.
//
// Element i of an array takes word i of the stream (32-bit draws: float32, bernoulli, dropout) or words 2i
// and 2i+1 (64-bit draws: float64, integers, permutation), so that values depend on the key, the counter and
// i alone: not on threads, chunks, instruction set or device.
//   uniform   low + (high - low) * k / 2^24 (2^53), k a whole number
//   normal    mean + stddev * Phi^-1((k + 1/2) / 2^32 (2^52)); truncated: Phi(-2) + ... * (Phi(2) - Phi(-2))
//   integers  low + floor(range * k / 2^64)
#pragma once

#include <cstdint>

#include "core/per_type.h"
#include "core/philox.h"

namespace ranvier {

struct UniformRange {
  double low;
  double high;
  double last;  // the largest number of the dtype below high: rounding must not reach high
};

struct NormalShape {
  double mean;
  double stddev;
  bool truncated;  // at two standard deviations
};

struct Dropout {
  uint64_t threshold;  // an element is dropped where its word is less: rate * 2^32
  double scale;        // of those kept: 1 / (1 - rate)
};

template <typename T>
struct ContinuousKernels {
  void (*uniform)(PhiloxStream stream, UniformRange range, T* out, int64_t n);
  void (*normal)(PhiloxStream stream, NormalShape shape, T* out, int64_t n);
  void (*dropout)(PhiloxStream stream, Dropout dropout, const T* x, T* y, int64_t n);
};

struct RandomKernels {
  PerType<ContinuousKernels> continuous;
  void (*bits)(PhiloxStream stream, int64_t* words, int64_t n);
  void (*bernoulli)(PhiloxStream stream, uint64_t threshold, uint8_t* out, int64_t n);  // 1 where word < threshold
  void (*integers)(PhiloxStream stream, int64_t low, uint64_t range, int64_t* out, int64_t n);
  // 0..n-1 in the order of 64-bit random keys, equal keys in the order of their numbers.
  void (*permutation)(PhiloxStream stream, int64_t* out, int64_t n);
};

}  // namespace ranvier
