// The conv2d ladder: images (N, H, W, C), kernels (KH, KW, C, F), stride one, no padding, float32.
//
// Arithmetic for 64 images of 13 x 13 x 32 and 64 kernels of 3 x 3: 64 * 11 * 11 outputs of 64 * 288 multiply-adds,
// 285 MFLOP on 3.5 MiB: 82 flops for each byte, so arithmetic is the limit, not memory.
#include "ops/ladder.h"

#include "cpu/ladder/tile.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const Ladder<LadderConv2d> conv2d_ladder;
extern const Ladder<LadderGemm> gemm_ladder;

namespace {

// 1. The definition, in seven loops: slide the window over each image, and add up image times kernel for each filter.
// One sum that waits for itself, and a kernel whose consecutive taps lie F floats apart: the faults of the naive gemm.
void naive(const float* x, const float* kernel, float* y, LadderImages s) {
  const int64_t out_height = s.height - s.window_height + 1, out_width = s.width - s.window_width + 1;
  for (int64_t image = 0; image < s.images; ++image) {
    for (int64_t i = 0; i < out_height; ++i) {
      for (int64_t j = 0; j < out_width; ++j) {
        for (int64_t f = 0; f < s.filters; ++f) {
          float sum = 0;
          for (int64_t u = 0; u < s.window_height; ++u) {
            for (int64_t v = 0; v < s.window_width; ++v) {
              const float* pixel = x + ((image * s.height + i + u) * s.width + j + v) * s.channels;
              const float* taps = kernel + (u * s.window_width + v) * s.channels * s.filters + f;
              for (int64_t c = 0; c < s.channels; ++c) sum += pixel[c] * taps[c * s.filters];
            }
          }
          y[((image * out_height + i) * out_width + j) * s.filters + f] = sum;
        }
      }
    }
  }
}

// 2. im2col (Chellapilla, Puri and Simard 2006): write the window under each output pixel as a row of KH * KW * C
// floats. The convolution is then one product, (pixels, KH KW C) times (KH KW C, filters), and a fast gemm does it.
// The price: the matrix repeats each pixel KH * KW times. 3 x 3 windows on 64 images of 13 x 13 x 32 make 8.9 MB of it,
// beyond the second-level cache, written once and read again.
void im2col(const float* x, const float* kernel, float* y, LadderImages s) {
  const int64_t out_height = s.height - s.window_height + 1, out_width = s.width - s.window_width + 1;
  const int64_t pixels = s.images * out_height * out_width, run = s.window_width * s.channels;
  const int64_t taps = s.window_height * run;
  float* matrix = static_cast<float*>(thread_scratch(kScratchOuter, sizeof(float) * uint64_t(pixels * taps)));
  parallel(0, s.images * out_height, grain_for(out_width * taps), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {  // a row of output pixels
      const float* corner = x + ((row / out_height) * s.height + row % out_height) * s.width * s.channels;
      for (int64_t j = 0; j < out_width; ++j) {
        for (int64_t u = 0; u < s.window_height; ++u) {  // a row of the window lies in one piece: channels come last
          memcpy(matrix + (row * out_width + j) * taps + u * run, corner + (u * s.width + j) * s.channels,
                 sizeof(float) * uint64_t(run));
        }
      }
    }
  });
  gemm_ladder.steps[gemm_ladder.count - 1].run(matrix, kernel, y, pixels, s.filters, taps);
}

// 3. Implicit gemm: the same product without the matrix. Its row for pixel j begins C floats after that for pixel j -
// 1, so the images themselves, read with a row distance of C, are the matrix: for each row of the window a product
// (out_width, KW C) times (KW C, filters). The kernels are packed into panels once; an output row reads three rows of
// the image from the first-level cache. (cuDNN: Chetlur and others 2014; indirection: Dukhan 2019.)
void implicit_gemm(const float* x, const float* kernel, float* y, LadderImages s) {
  const int64_t out_height = s.height - s.window_height + 1, out_width = s.width - s.window_width + 1;
  const int64_t run = s.window_width * s.channels, taps = s.window_height * run;
  const int64_t panels = ceil_div(s.filters, kTileColumns);
  float* packed =
      static_cast<float*>(thread_scratch(kScratchOuter, sizeof(float) * uint64_t(panels * taps * kTileColumns)));
  for (int64_t f = 0; f < s.filters; f += kTileColumns) {
    pack_panel(kernel + f, s.filters, packed + f * taps, taps, min_of(kTileColumns, s.filters - f));
  }
  parallel(0, s.images * out_height, grain_for(out_width * taps * panels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* corner = x + ((row / out_height) * s.height + row % out_height) * s.width * s.channels;
      for (int64_t f = 0; f < s.filters; f += kTileColumns) {
        for (int64_t j = 0; j < out_width; j += kTileRows) {
          for (int64_t u = 0; u < s.window_height; ++u) {
            add_tile<true>(corner + (u * s.width + j) * s.channels, s.channels, 1,
                           packed + f * taps + u * run * kTileColumns, kTileColumns,
                           y + (row * out_width + j) * s.filters + f, s.filters, min_of(kTileRows, out_width - j),
                           min_of(kTileColumns, s.filters - f), run);
          }
        }
      }
    }
  });
}

}  // namespace

const Ladder<LadderConv2d> conv2d_ladder = {3,
                                            {{"naive", naive}, {"im2col", im2col}, {"implicit gemm", implicit_gemm}}};

}  // namespace RANVIER_ISA
}  // namespace ranvier
