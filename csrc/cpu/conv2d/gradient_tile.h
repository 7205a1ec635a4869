// The register tile of kernel gradients.
#pragma once

#include "cpu/conv2d/correlation.h"

namespace ranvier {
namespace RANVIER_ISA {

// dw as a matrix product over pixels: a tile of (tap, input channel) rows x two vectors of output channels
// stays in registers over a block of pixels, then goes back to its private sum. Blocks and chunks of blocks
// follow from the shape alone, and the chunks' sums are added in order: the thread count changes no bit.
template <typename T>
struct GradientTile {
  const T* x;
  const int64_t* offsets;  // per tile row: where its first pixel lies
  const T* dy;
  T* sums;  // kRows x kVectors vectors
  bool first;
  int64_t images, rows, columns;  // of pixels
  int64_t x_image, x_row, x_column;
  int64_t dy_image, dy_row, dy_column;
};

template <typename T>
using GradientTileFunction = void (*)(const GradientTile<T>&);

// For 1..2 vectors and 1..kMaxTile rows. Contiguous: the rows' sources are neighbours. `type` only chooses the
// overload.
GradientTileFunction<float> gradient_tile(float type, int vectors, int64_t rows, bool contiguous);
GradientTileFunction<double> gradient_tile(double type, int vectors, int64_t rows, bool contiguous);

}  // namespace RANVIER_ISA
}  // namespace ranvier
