// The register tile of correlations: pixels x vectors of output channels.
#pragma once

#include "cpu/conv2d/correlation.h"

namespace ranvier {
namespace RANVIER_ISA {

// Stretches of the source that are contiguous under the kernel, relative to an output pixel's first tap:
// one per kernel row where columns lie side by side, else one per tap.
struct Runs {
  int64_t count;
  int64_t length;
  const int64_t* offsets;
  int64_t per_row;  // of the kernel
};

template <typename T>
struct CorrelationTile {
  const T* source;
  const int64_t* source_offsets;  // per pixel
  T* output;
  const int64_t* output_offsets;  // per pixel
  Runs runs;
  const T* bias;   // what the sums begin with
  const T* panel;  // one row per source element of the runs
  int64_t columns;
  bool accumulate;  // the sums begin with the output instead, whose columns are whole vectors
  bool relu;
};

template <typename T>
using TileFunction = void (*)(const CorrelationTile<T>&);

// For 1..2 vectors and 1..kMaxTile pixels; `type` only chooses the overload.
TileFunction<float> correlation_tile(float type, int vectors, int64_t rows);
TileFunction<double> correlation_tile(double type, int vectors, int64_t rows);

}  // namespace RANVIER_ISA
}  // namespace ranvier
