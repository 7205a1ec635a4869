// The transforms of Winograd's minimal filtering (Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural
// Networks"), F(m x m, 3 x 3): m outputs per side from m + 2 inputs with (m + 2)^2 products instead of 9 m^2.
//   Y = A^T [ (G g G^T) * (B^T d B) ] A
// Cook-Toom gives the matrices for any points p_i and infinity:
//   B^T row i: the coefficients of prod_{l != i} (x - p_l);   G row i: (1, p_i, p_i^2) / prod_{l != i} (p_i - p_l);
//   A^T column i: (1, p_i, p_i^2 ...);   infinity: the product over all l, (0, 0, 1), the last unit vector.
// The points come in pairs +-p, whose rows share their even and odd parts. They decide the error: F(4 x 4) with
// 0, +-5/8, +-3/2 has 1.7 to 1.9 times the RMS error of the direct sum, with the usual 0, +-1, +-2 more than three
// times; F(2 x 2) with 0, +-1 has less than the direct sum, and is exact on small integers.
#pragma once

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

typedef Vec<float> V;

template <int kOutputs>
struct Winograd;

template <>
struct Winograd<2> {
  static constexpr int kSide = 4;
  RANVIER_INLINE static void input(const V* d, V* v) {  // B^T d
    v[0] = d[2] - d[0];
    v[1] = d[2] + d[1];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
  }
  RANVIER_INLINE static void kernel(const V* g, V* u) {  // G g
    const V even = (g[0] + g[2]) * 0.5f, odd = g[1] * 0.5f;
    u[0] = -g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = g[2];
  }
  RANVIER_INLINE static void output(const V* m, V* y) {  // A^T m
    y[0] = m[0] + (m[1] + m[2]);
    y[1] = (m[1] - m[2]) + m[3];
  }
  RANVIER_INLINE static void gradient(const V* y, V* m) {  // A y
    m[0] = y[0];
    m[1] = y[0] + y[1];
    m[2] = y[0] - y[1];
    m[3] = y[1];
  }
  RANVIER_INLINE static void kernel_gradient(const V* u, V* g) {  // G^T u
    const V even = (u[1] + u[2]) * 0.5f;
    g[0] = even - u[0];
    g[1] = (u[1] - u[2]) * 0.5f;
    g[2] = even + u[3];
  }
};

template <>
struct Winograd<4> {
  static constexpr int kSide = 6;
  static constexpr float kP = 0.625f, kQ = 1.5f, kP2 = kP * kP, kQ2 = kQ * kQ;
  static constexpr float kScale0 = 1 / (kP2 * kQ2), kScaleP = 0.5f / (kP2 * (kP2 - kQ2)),
                         kScaleQ = 0.5f / (kQ2 * (kQ2 - kP2));
  RANVIER_INLINE static V times(float a, V b, V c) { return fma(broadcast(a), b, c); }  // a * b + c

  RANVIER_INLINE static void input(const V* d, V* v) {
    const V p_even = times(-kQ2, d[2], d[4]), p_odd = times(-kQ2, d[1], d[3]);
    const V q_even = times(-kP2, d[2], d[4]), q_odd = times(-kP2, d[1], d[3]);
    v[0] = times(kP2 * kQ2, d[0], times(-(kP2 + kQ2), d[2], d[4]));
    v[1] = times(kP, p_odd, p_even);
    v[2] = times(-kP, p_odd, p_even);
    v[3] = times(kQ, q_odd, q_even);
    v[4] = times(-kQ, q_odd, q_even);
    v[5] = times(kP2 * kQ2, d[1], times(-(kP2 + kQ2), d[3], d[5]));
  }
  RANVIER_INLINE static void kernel(const V* g, V* u) {
    const V p_even = times(kP2, g[2], g[0]) * kScaleP, p_odd = g[1] * (kP * kScaleP);
    const V q_even = times(kQ2, g[2], g[0]) * kScaleQ, q_odd = g[1] * (kQ * kScaleQ);
    u[0] = g[0] * kScale0;
    u[1] = p_even + p_odd;
    u[2] = p_even - p_odd;
    u[3] = q_even + q_odd;
    u[4] = q_even - q_odd;
    u[5] = g[2];
  }
  RANVIER_INLINE static void output(const V* m, V* y) {
    const V p_even = m[1] + m[2], p_odd = m[1] - m[2], q_even = m[3] + m[4], q_odd = m[3] - m[4];
    y[0] = m[0] + (p_even + q_even);
    y[1] = times(kP, p_odd, q_odd * kQ);
    y[2] = times(kP2, p_even, q_even * kQ2);
    y[3] = times(kP * kP2, p_odd, times(kQ * kQ2, q_odd, m[5]));
  }
  RANVIER_INLINE static void gradient(const V* y, V* m) {
    const V p_even = times(kP2, y[2], y[0]), p_odd = times(kP * kP2, y[3], y[1] * kP);
    const V q_even = times(kQ2, y[2], y[0]), q_odd = times(kQ * kQ2, y[3], y[1] * kQ);
    m[0] = y[0];
    m[1] = p_even + p_odd;
    m[2] = p_even - p_odd;
    m[3] = q_even + q_odd;
    m[4] = q_even - q_odd;
    m[5] = y[3];
  }
  RANVIER_INLINE static void kernel_gradient(const V* u, V* g) {
    const V p_even = (u[1] + u[2]) * kScaleP, p_odd = (u[1] - u[2]) * (kP * kScaleP);
    const V q_even = (u[3] + u[4]) * kScaleQ, q_odd = (u[3] - u[4]) * (kQ * kScaleQ);
    g[0] = times(kScale0, u[0], p_even + q_even);
    g[1] = p_odd + q_odd;
    g[2] = times(kP2, p_even, times(kQ2, q_even, u[5]));
  }
};

// out = F in F^T for a one-dimensional transform F: first down the columns, then along the rows.
template <int kFrom, int kTo, typename Transform, typename Load, typename Store>
RANVIER_INLINE void transform_square(const Transform& transform, const Load& read, const Store& write) {
  V half[kTo][kFrom];
#pragma GCC unroll 6
  for (int j = 0; j < kFrom; ++j) {
    V column[kFrom], done[kTo];
#pragma GCC unroll 6
    for (int i = 0; i < kFrom; ++i) column[i] = read(i, j);
    transform(column, done);
#pragma GCC unroll 6
    for (int i = 0; i < kTo; ++i) half[i][j] = done[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < kTo; ++i) {
    V done[kTo];
    transform(half[i], done);
#pragma GCC unroll 6
    for (int j = 0; j < kTo; ++j) write(i, j, done[j]);
  }
}

// Tiles of an output map, numbered over all images.
struct WinogradTiles {
  int64_t rows, columns;  // per image
  int64_t count;
};

inline WinogradTiles winograd_tiles(int64_t outputs, int64_t images, int64_t out_rows, int64_t out_columns) {
  const int64_t rows = ceil_div(out_rows, outputs), columns = ceil_div(out_columns, outputs);
  return {rows, columns, images * rows * columns};
}

// V[position][tile] = B^T d B, rows `ld` apart and positions `position` apart; ld is a multiple of the width.
// image: what the tile's inputs lie in, of height x width x channels; (row, column) its first input, perhaps outside.
template <int kOutputs>
void transform_input_tile(const float* image, int64_t height, int64_t width, int64_t channels, int64_t row,
                          int64_t column, const float* zeros, float* v, int64_t position) {
  constexpr int kSide = Winograd<kOutputs>::kSide;
  const float* pixels[kSide][kSide];
  const bool whole = row >= 0 && column >= 0 && row + kSide <= height && column + kSide <= width;
  const int64_t first = (row * width + column) * channels;
  for (int i = 0; i < kSide; ++i) {
    for (int j = 0; j < kSide; ++j) {
      pixels[i][j] = image + first + (i * width + j) * channels;
      if (whole) continue;
      const int64_t y = row + i, x = column + j;
      if (y < 0 || y >= height || x < 0 || x >= width) pixels[i][j] = zeros;
    }
  }
  const auto transform = [](const V* d, V* out) { Winograd<kOutputs>::input(d, out); };
  for (int64_t c = 0; c < channels; c += kWidth<float>) {
    const int64_t left = channels - c;
    const auto write = [&](int i, int j, V value) { store(v + (i * kSide + j) * position + c, value); };
    // What the next tile reads anew: its lines lie too far apart for the hardware to see them coming.
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) {
#pragma GCC unroll 6
      for (int j = 2; j < kSide; ++j) __builtin_prefetch(pixels[i][j] + kOutputs * channels + c);
    }
    if (left >= kWidth<float>) {
      transform_square<kSide, kSide>(transform, [&](int i, int j) { return load(pixels[i][j] + c); }, write);
    } else {
      transform_square<kSide, kSide>(
          transform, [&](int i, int j) { return load_partial(pixels[i][j] + c, left); }, write);
    }
  }
}

}  // namespace
}  // namespace RANVIER_ISA
}  // namespace ranvier
