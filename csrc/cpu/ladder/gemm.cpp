// The gemm ladder: c (m, n) += a (m, k) b (k, n), row-major float32, from three loops to nearly the machine's limit.
//
// Arithmetic for 1024 x 1024 x 1024: 2 * 1024^3 = 2.1 GFLOP on 12 MiB of matrices. A core of 2024 with AVX-512 starts
// two fused multiply-adds on 16 floats in each cycle, 64 flops: at 3.5 GHz 224 GFLOP/s, so 9.6 ms. What each step gains
// is in docs/ladder-gemm.md; `ranvier bench gemm --variants` measures it here.
#include "ops/ladder.h"

#include "cpu/ladder/tile.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const Ladder<LadderGemm> gemm_ladder;

namespace {

// 1. The definition: element (i, j) is row i of A times column j of B. Two things are slow. Each addition waits for
// the one before, 4 cycles, so a core does 2 flops in 4 cycles of the 256 it could. And b[p * n + j] steps down a
// column: each float comes from another cache line, and 15 of the 16 floats in it are fetched for nothing.
void naive(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t p = 0; p < k; ++p) sum += a[i * k + p] * b[p * n + j];
      c[i * n + j] = sum;
    }
  }
}

// 2. Loop order: the same products, the two inner loops exchanged. Now B and C are walked along their rows, every float
// of a cache line is used, and the prefetcher sees what comes next. The sums of a row do not wait for each other.
// The price: each multiply-add loads and stores c.
void loop_order(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t p = 0; p < k; ++p) {
      const float value = a[i * k + p];
      for (int64_t j = 0; j < n; ++j) c[i * n + j] += value * b[p * n + j];
    }
  }
}

// 3. Cache blocking: step 2 reads all of B, 4 MiB, for every row of A, more than the second-level cache holds. Cut B
// into blocks of 64 x 256 floats, 64 KiB, and let all rows of A pass over a block before the next: B comes from memory
// once. (Goto and van de Geijn 2008.) One multiply-add at a time asks for some 10 GB/s of B, which the third-level
// cache delivers, so this step alone gains nothing; the vectors of step 5 would ask for thirty times as much.
void cache_blocking(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) {
  constexpr int64_t kBlockRows = 64, kBlockWidth = 256;
  for (int64_t p0 = 0; p0 < k; p0 += kBlockRows) {
    const int64_t p1 = min_of(k, p0 + kBlockRows);
    for (int64_t j0 = 0; j0 < n; j0 += kBlockWidth) {
      const int64_t j1 = min_of(n, j0 + kBlockWidth);
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t p = p0; p < p1; ++p) {
          const float value = a[i * k + p];
          for (int64_t j = j0; j < j1; ++j) c[i * n + j] += value * b[p * n + j];
        }
      }
    }
  }
}

// 4. Register tile: so far each multiply-add cost a load of b, a load and a store of c. Keep a 4 x 4 tile of C in 16
// registers while p runs: 8 loads (4 of A, 4 of B) feed 16 multiply-adds, and C is touched once per block. The 16 sums
// are independent, so the 4 cycles that each takes overlap. Rows and columns beyond the tiles are left to step 3.
void register_tile(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) {
  constexpr int kRows = 4, kColumns = 4;
  for (int64_t p0 = 0; p0 < k; p0 += kDepth) {
    const int64_t p1 = min_of(k, p0 + kDepth);
    for (int64_t j = 0; j < n; j += kColumns) {
      for (int64_t i = 0; i < m; i += kRows) {
        const int rows = int(min_of(kRows, m - i)), columns = int(min_of(kColumns, n - j));
        if (rows < kRows || columns < kColumns) {  // the edge of C: one element at a time
          for (int r = 0; r < rows; ++r) {
            for (int64_t p = p0; p < p1; ++p) {
              for (int s = 0; s < columns; ++s) c[(i + r) * n + j + s] += a[(i + r) * k + p] * b[p * n + j + s];
            }
          }
          continue;
        }
        float sums[kRows][kColumns] = {};  // the compiler keeps it in registers: all its indices are constants
        for (int64_t p = p0; p < p1; ++p) {
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
            for (int s = 0; s < kColumns; ++s) sums[r][s] += a[(i + r) * k + p] * b[p * n + j + s];
          }
        }
        for (int r = 0; r < kRows; ++r) {
          for (int s = 0; s < kColumns; ++s) c[(i + r) * n + j + s] += sums[r][s];
        }
      }
    }
  }
}

// 5. SIMD: the same tile in vectors of 16 floats (8 with AVX2, 4 in the baseline), one instruction for as many
// multiply-adds. The tile grows to what the registers hold, 12 x 32 of 32 registers (tile.h): 14 loads feed 24 vector
// multiply-adds, so that the two units that do them are what limits, no longer the two that load.
void simd(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) {
  for (int64_t p = 0; p < k; p += kDepth) {
    for (int64_t j = 0; j < n; j += kTileColumns) {  // a panel of B, 256 x 32 floats, stays in the first-level cache
      for (int64_t i = 0; i < m; i += kTileRows) {
        add_tile<false>(a + i * k + p, k, 1, b + p * n + j, n, c + i * n + j, n, min_of(kTileRows, m - i),
                        min_of(kTileColumns, n - j), min_of(kDepth, k - p));
      }
    }
  }
}

// 6. Packing: the rows of a panel of B lie n floats apart. With n = 1024 that is 4096 bytes: every row is another page,
// too many for the first-level TLB, and all of them fall into the same few sets of the first-level cache and
// drive each other out. So copy a block of B, in the order in which the tiles read it, to a place of its own (here
// 256 x 512 floats, half a megabyte, for the second-level cache), and 12 rows of A beside it. The copies cost
// (m n k) / 12 + ... moves; the tiles then read nothing but consecutive floats.
constexpr int64_t kBlockColumns = 512;

void packing(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) {
  float* block = static_cast<float*>(thread_scratch(kScratchB, sizeof(float) * kDepth * kBlockColumns));
  float rows_of_a[kTileRows * kDepth];
  for (int64_t p = 0; p < k; p += kDepth) {
    const int64_t depth = min_of(kDepth, k - p);
    for (int64_t j0 = 0; j0 < n; j0 += kBlockColumns) {
      const int64_t j1 = min_of(n, j0 + kBlockColumns);
      for (int64_t j = j0; j < j1; j += kTileColumns) {
        pack_panel(b + p * n + j, n, block + (j - j0) * depth, depth, min_of(kTileColumns, j1 - j));
      }
      for (int64_t i = 0; i < m; i += kTileRows) {
        const int64_t rows = min_of(kTileRows, m - i);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t q = 0; q < depth; ++q) rows_of_a[q * kTileRows + r] = a[(i + r) * k + p + q];
        }
        for (int64_t j = j0; j < j1; j += kTileColumns) {
          add_tile<true>(rows_of_a, 1, kTileRows, block + (j - j0) * depth, kTileColumns, c + i * n + j, n, rows,
                         min_of(kTileColumns, j1 - j), depth);
        }
      }
    }
  }
}

// 7. Threads: the rows of C are shared out. Each thread packs B for itself: that is twice the copying on two threads,
// but nobody ever waits for anybody, and every sum is added in the same order on any number of threads.
void threads(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) {
  const int64_t tiles = ceil_div(m, kTileRows);
  parallel(0, tiles, max_of(1, ceil_div(tiles, num_threads())), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kTileRows, last = min_of(m, end * kTileRows);
    packing(a + first * k, b, c + first * n, last - first, n, k);
  });
}

}  // namespace

const Ladder<LadderGemm> gemm_ladder = {7,
                                        {{"naive", naive},
                                         {"loop order", loop_order},
                                         {"cache blocking", cache_blocking},
                                         {"register tile", register_tile},
                                         {"SIMD", simd},
                                         {"packing", packing},
                                         {"threads", threads}}};

}  // namespace RANVIER_ISA
}  // namespace ranvier
