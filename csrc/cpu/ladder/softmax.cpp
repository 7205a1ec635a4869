// The softmax ladder: y = exp(x - max) / sum(exp(x - max)) along rows, float32.
//
// Arithmetic for (8192, 1024): 8.4 million exponentials, and 67 MB to read and write once: 1.3 ms at 50 GB/s.
#include "ops/ladder.h"

#include "cpu/simd_math.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const Ladder<LadderSoftmax> softmax_ladder;

namespace {

// 1. Three passes over the matrix, as in NumPy: all maxima; all exponentials and their sums; all quotients. Each pass
// waits for the matrix to come from memory again: read, read and write, read and write, five times 34 MB for two.
void three_passes(const float* x, float* y, int64_t rows, int64_t columns) {
  float* peaks = static_cast<float*>(thread_scratch(kScratchA, sizeof(float) * 2 * uint64_t(rows)));
  float* sums = peaks + rows;
  for (int64_t r = 0; r < rows; ++r) {
    peaks[r] = x[r * columns];
    for (int64_t j = 1; j < columns; ++j) peaks[r] = scalar_max(peaks[r], x[r * columns + j]);
  }
  for (int64_t r = 0; r < rows; ++r) {
    sums[r] = 0;
    for (int64_t j = 0; j < columns; ++j) {
      sums[r] += y[r * columns + j] = __builtin_expf(x[r * columns + j] - peaks[r]);
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < columns; ++j) y[r * columns + j] /= sums[r];
  }
}

// 2. Vectors: 16 numbers at a time (8 with AVX2, 4 in the baseline), with an exponential made of a handful of
// multiply-adds: exp(x) = 2^n exp(r), n = round(x / ln 2), and a polynomial for exp(r) (simd_math.h). The division
// becomes one division per row and a product per element. The three passes are the same; now they wait for memory.
float vector_peak(const float* x, int64_t columns) {
  Vec<float> peaks = broadcast(x[0]);
  int64_t j = 0;
  for (; j + kWidth<float> <= columns; j += kWidth<float>) peaks = max(peaks, load(x + j));
  for (; j < columns; ++j) peaks = max(peaks, broadcast(x[j]));
  return max_lanes<float>(peaks);
}

float vector_exponentials(const float* x, float peak, float* y, int64_t columns) {
  Vec<float> sums{};
  int64_t j = 0;
  for (; j + kWidth<float> <= columns; j += kWidth<float>) {
    const Vec<float> e = exp(load(x + j) - broadcast(peak));
    store(y + j, e);
    sums += e;
  }
  const int64_t left = columns - j;
  store_partial(y + j, exp(load_partial(x + j, left) - broadcast(peak)), left);
  sums += load_partial(y + j, left);  // lanes beyond the row read as zero
  return sum_lanes<float>(sums);
}

void vector_scale(float* y, float scale, int64_t columns) {
  int64_t j = 0;
  for (; j + kWidth<float> <= columns; j += kWidth<float>) store(y + j, load(y + j) * broadcast(scale));
  for (; j < columns; ++j) y[j] *= scale;
}

void vectors(const float* x, float* y, int64_t rows, int64_t columns) {
  float* peaks = static_cast<float*>(thread_scratch(kScratchA, sizeof(float) * 2 * uint64_t(rows)));
  float* sums = peaks + rows;
  for (int64_t r = 0; r < rows; ++r) peaks[r] = vector_peak(x + r * columns, columns);
  for (int64_t r = 0; r < rows; ++r) {
    sums[r] = vector_exponentials(x + r * columns, peaks[r], y + r * columns, columns);
  }
  for (int64_t r = 0; r < rows; ++r) vector_scale(y + r * columns, 1.0f / sums[r], columns);
}

// 3. Row by row: the same three passes, but over one row before the next. A row of 1024 floats, 4 KiB, stays in the
// first-level cache, so the matrix is read once and written once.
void row_by_row(const float* x, float* y, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) vectors(x + r * columns, y + r * columns, 1, columns);
}

// 4. Online (Milakov and Gimelshein 2018): maximum and sum in one read. Where the maximum grows from m to M, what was
// summed so far is multiplied by exp(m - M). A second read writes the results. It reads a long row twice instead of
// three times, and pays with a second exponential for each element: for rows that do not fit into a cache, and for
// processors that have arithmetic to spare. (Attention on GPUs is built on it.)
void online(const float* x, float* y, int64_t rows, int64_t columns) {
  constexpr int kLanes = kWidth<float>;
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    Vec<float> peaks = broadcast(-__builtin_inff()), sums{};
    int64_t j = 0;
    for (; j + kLanes <= columns; j += kLanes) {
      const Vec<float> value = load(x + j), grown = max(peaks, value);
      // A lane still at -inf has summed nothing: its peak moves without a factor (-inf - -inf would be NaN).
      const Vec<float> factor = select(peaks == grown, broadcast(1.0f), exp(peaks - grown));
      sums = sums * factor + select(value == grown, broadcast(1.0f), exp(value - grown));
      peaks = grown;
    }
    float peak = max_lanes<float>(peaks);
    for (int64_t i = j; i < columns; ++i) peak = scalar_max(peak, x[i]);
    float sum = j == 0 ? 0.0f : sum_lanes<float>(sums * exp(peaks - broadcast(peak)));
    for (int64_t i = j; i < columns; ++i) sum += __builtin_expf(x[i] - peak);
    const Vec<float> all = broadcast(peak), scale = broadcast(1.0f / sum);
    for (int64_t i = 0; i < columns; i += kLanes) {
      const int64_t left = min_of(kLanes, columns - i);
      store_partial(y + i, exp(load_partial(x + i, left) - all) * scale, left);
    }
  }
}

// 5. Threads: rows know nothing of each other, so step 3 on as many threads as there are.
void threads(const float* x, float* y, int64_t rows, int64_t columns) {
  parallel(0, rows, grain_for(8 * columns), [&](int64_t begin, int64_t end) {
    row_by_row(x + begin * columns, y + begin * columns, end - begin, columns);
  });
}

}  // namespace

const Ladder<LadderSoftmax> softmax_ladder = {5,
                                              {{"three passes", three_passes},
                                               {"vectors", vectors},
                                               {"row by row", row_by_row},
                                               {"online", online},
                                               {"threads", threads}}};

}  // namespace RANVIER_ISA
}  // namespace ranvier
