// Arithmetic that several families share, with the rules of the CPU's kernels: NaN travels, integers wrap around.
#pragma once

#include <cstdint>

#include "cuda/cuda.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// clang-format off
template <typename T> struct Wrapping { typedef T Type; };
template <> struct Wrapping<int32_t> { typedef uint32_t Type; };
template <> struct Wrapping<int64_t> { typedef uint64_t Type; };
// clang-format on
template <typename T>
using Wrap = typename Wrapping<T>::Type;

// As lanes exchange it: bytes travel as words.
template <typename T>
__device__ T widened(T v) {
  return v;
}
__device__ int widened(uint8_t v) { return v; }

template <typename T>
__device__ T larger(T a, T b) {  // a NaN on either side is the answer
  return a != a || a > b ? a : b;
}
template <typename T>
__device__ T smaller(T a, T b) {
  return a != a || a < b ? a : b;
}

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier
