// What convolution fuses around its products: activations of rows just written, and in one pass over dy the
// activation's gradient and the bias's.
#include "cpu/activation_math.h"
#include "cpu/conv2d/correlation.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// Sums the columns of `pixels` rows into sums, or adds to it: two chains per column.
template <typename T>
void add_columns(const T* rows, int64_t pixels, int64_t channels, bool first, T* sums) {
  for (int64_t c = 0; c < channels; c += kWidth<T>) {
    const int64_t left = min_of(kWidth<T>, channels - c);
    const auto read = [&](const T* p) { return left == kWidth<T> ? load(p) : load_partial(p, left); };
    Vec<T> even = first ? Vec<T>{} : read(sums + c), odd{};
    int64_t p = 0;
    for (; p + 2 <= pixels; p += 2) {
      even += read(rows + p * channels + c);
      odd += read(rows + (p + 1) * channels + c);
    }
    if (p < pixels) even += read(rows + p * channels + c);
    store_partial(sums + c, even + odd, left);
  }
}

// Chunks follow from the shape alone and are added in order. A chunk goes in pieces that stay in L1 between the
// gradient and the sum.
template <typename T>
void activation_gradient(Activation activation, const T* saved, const T* dy, T* dz, int64_t pixels, int64_t channels,
                         T* db) {
  constexpr int64_t kPiece = 16 * 1024 / sizeof(T), kChunk = 64 * 1024 / sizeof(T), kMaxChunks = 64;
  const int64_t piece = max_of(2, kPiece / max_of(1, channels));
  const int64_t chunks = max_of(1, min_of(kMaxChunks, pixels * channels / kChunk));
  T* sums = static_cast<T*>(thread_scratch(kScratchC, sizeof(T) * static_cast<uint64_t>(chunks * channels)));
  parallel(0, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t from = pixels * chunk / chunks, to = pixels * (chunk + 1) / chunks;
      if (db != nullptr && from == to) memset(sums + chunk * channels, 0, sizeof(T) * static_cast<uint64_t>(channels));
      for (int64_t p = from; p < to; p += piece) {
        const int64_t count = min_of(piece, to - p), at = p * channels;
        if (dz != nullptr) activate_backward(activation, saved + at, dy + at, dz + at, count * channels);
        if (db != nullptr) {
          add_columns((dz == nullptr ? dy : dz) + at, count, channels, p == from, sums + chunk * channels);
        }
      }
    }
  });
  if (db != nullptr) add_columns(sums, chunks, channels, true, db);
}

}  // namespace

void activate_row(Activation activation, float* row, int64_t n) { activate(activation, row, row, n); }
void activate_row(Activation activation, double* row, int64_t n) { activate(activation, row, row, n); }

void conv2d_activation_gradient(Activation activation, const float* saved, const float* dy, float* dz, int64_t pixels,
                                int64_t channels, float* db) {
  activation_gradient(activation, saved, dy, dz, pixels, channels, db);
}
void conv2d_activation_gradient(Activation activation, const double* saved, const double* dy, double* dz,
                                int64_t pixels, int64_t channels, double* db) {
  activation_gradient(activation, saved, dy, dz, pixels, channels, db);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
