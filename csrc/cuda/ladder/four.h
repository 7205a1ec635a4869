// Requests of 16 bytes a lane, where the address allows them: what the steps with wide loads share.
#pragma once

#include <cstdint>

#include "cuda/cuda.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// Four floats of a row from `from` on, zeros beyond its end: one request of 16 bytes where the address allows it.
__device__ float4 load_four(const float* row, int from, int columns, bool inside) {
  const float* p = row + from;
  if (inside && from + 4 <= columns && reinterpret_cast<std::uintptr_t>(p) % 16 == 0) {
    return *reinterpret_cast<const float4*>(p);
  }
  const auto at = [=](int e) { return inside && from + e < columns ? p[e] : 0.0f; };
  return make_float4(at(0), at(1), at(2), at(3));
}

__device__ void store_four(float* row, int from, int columns, bool inside, const float* four) {
  float* p = row + from;
  if (inside && from + 4 <= columns && reinterpret_cast<std::uintptr_t>(p) % 16 == 0) {
    *reinterpret_cast<float4*>(p) = make_float4(four[0], four[1], four[2], four[3]);
    return;
  }
  for (int e = 0; e < 4; ++e) {
    if (inside && from + e < columns) p[e] = four[e];
  }
}

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier
