// The transpose ladder: y (columns, rows) = x (rows, columns) transposed, float32. Nothing is computed, so it is all
// about addresses: what is read along a row must be written along a column, and one of the two costs dearly.
//
// The least that must move: each number read once and written once, 4 sectors for each 32 of them and each direction.
#include "cuda/ladder/four.h"
#include "cuda/ladder/ladder.h"
#include "cuda/launch.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

constexpr int kTile = 32;

dim3 tiles_of(int rows, int columns) { return dim3(ceil_div(columns, kTile), ceil_div(rows, kTile)); }

// 1. One thread per element. The lanes of a warp read 32 numbers side by side, 4 sectors of 32 bytes, and write them to
// 32 rows of y: 32 sectors, of each of which a GPU keeps one number in eight.
__global__ void naive_transpose(const float* x, float* y, int rows, int columns) {
  const int i = blockIdx.y * kTile + threadIdx.y, j = blockIdx.x * kTile + threadIdx.x;
  if (i < rows && j < columns) y[j * rows + i] = x[i * columns + j];
}

void run_naive(const float* x, float* y, int rows, int columns, void* stream) {
  launch<naive_transpose>(tiles_of(rows, columns), dim3(kTile, kTile), 0, stream, x, y, rows, columns);
}

// 2. A tile in shared memory: read along the rows of x, write along the rows of y, both 4 sectors; the corner is turned
// in shared memory, which has no sectors. It has 32 banks of 4 bytes, though, and a column of the tile lies in one of
// them: kPadding = 0 reads it in 32 passes, one lane at a time.
//
// 3. kPadding = 1: rows of 33 numbers. Each row then begins one bank later, a column touches every bank once, and the
// 32 passes become 1. Costs 128 bytes.
template <int kPadding>
__global__ void tiled_transpose(const float* x, float* y, int rows, int columns) {
  __shared__ float tile[kTile][kTile + kPadding];
  const int i0 = blockIdx.y * kTile, j0 = blockIdx.x * kTile;
  const int a = threadIdx.y, b = threadIdx.x;  // b: of neighbouring lanes
  if (i0 + a < rows && j0 + b < columns) tile[a][b] = x[(i0 + a) * columns + j0 + b];
  __syncthreads();
  if (j0 + a < columns && i0 + b < rows) y[(j0 + a) * rows + i0 + b] = tile[b][a];
}

template <int kPadding>
void run_tiled(const float* x, float* y, int rows, int columns, void* stream) {
  launch<tiled_transpose<kPadding>>(tiles_of(rows, columns), dim3(kTile, kTile), 0, stream, x, y, rows, columns);
}

// 4. Four numbers a thread: the sectors are as few as they can be, so what is left to spare are instructions. A lane
// reads 16 bytes at once and writes 16 bytes at once: a quarter of the requests to global memory, of the threads and of
// the index arithmetic. A warp now fills 4 rows of the tile, 8 lanes each, and reads 4 columns: lane (r, c) meets bank
// 33 r + 4 c + e, whose 32 values differ by the same padding as before.
__global__ void vectorised_transpose(const float* x, float* y, int rows, int columns) {
  __shared__ float tile[kTile][kTile + 1];
  const int i0 = blockIdx.y * kTile, j0 = blockIdx.x * kTile;
  const int r = threadIdx.x / 8, c = threadIdx.x % 8 * 4;
  const float4 four = load_four(x + (i0 + r) * columns, j0 + c, columns, i0 + r < rows);
  tile[r][c] = four.x;
  tile[r][c + 1] = four.y;
  tile[r][c + 2] = four.z;
  tile[r][c + 3] = four.w;
  __syncthreads();
  const float turned[4] = {tile[c][r], tile[c + 1][r], tile[c + 2][r], tile[c + 3][r]};
  store_four(y + (j0 + r) * rows, i0 + c, rows, j0 + r < columns, turned);
}

void run_vectorised(const float* x, float* y, int rows, int columns, void* stream) {
  launch<vectorised_transpose>(tiles_of(rows, columns), dim3(kTile * kTile / 4), 0, stream, x, y, rows, columns);
}

}  // namespace

extern const CudaLadder<CudaLadderTranspose> transpose_ladder;
const CudaLadder<CudaLadderTranspose> transpose_ladder = {4,
                                                          {{"naive", run_naive},
                                                           {"shared tile", run_tiled<0>},
                                                           {"padded tile", run_tiled<1>},
                                                           {"vectorised", run_vectorised}}};

}  // namespace RANVIER_GPU
}  // namespace ranvier
