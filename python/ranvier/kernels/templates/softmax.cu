// My softmax for a GPU. The contract stands in ops/softmax.h of `ranvier kernel headers`; what CUDA offers on the
// simulator in sim/cuda.h. This first kernel is right and wasteful: a thread for each row, so that the lanes of a warp
// read 32 rows at once. Make it better, and keep it right:
//   ranvier kernel test .     the op's own spec on the simulator: races, bounds, odd shapes, NaN, three schedules
//   ranvier kernel bench .    sectors, bank conflicts and idle lanes beside Ranvier's
#include "core/own_kernel.h"
#include "cuda/launch.h"
#include "ops/softmax.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// Element c of row r lies at start + c * rows.inner: rows of an axis before the last are read in place.
__global__ void my_softmax(const float* x, float* y, Rows rows) {
  const int64_t r = grid_thread();
  if (r >= rows.outer * rows.inner) return;
  const int64_t start = r / rows.inner * rows.columns * rows.inner + r % rows.inner;
  float peak = -INFINITY, sum = 0.0f;
  for (int64_t c = 0; c < rows.columns; ++c) peak = fmaxf(peak, x[start + c * rows.inner]);
  for (int64_t c = 0; c < rows.columns; ++c) sum += expf(x[start + c * rows.inner] - peak);
  for (int64_t c = 0; c < rows.columns; ++c) {
    const int64_t at = start + c * rows.inner;
    y[at] = expf(x[at] - peak) / sum;
  }
}

void forward(const float* x, float* y, Rows rows) {
  const int64_t count = rows.outer * rows.inner;
  if (count * rows.columns == 0) return;
  launch<my_softmax>(dim3(static_cast<unsigned>(ceil_div<int64_t>(count, kThreads))), dim3(kThreads), 0,
                     current_stream(), x, y, rows);
}

}  // namespace
}  // namespace RANVIER_GPU
}  // namespace ranvier

RANVIER_KERNEL(softmax, ranvier::PerType<ranvier::SoftmaxKernels>) {
  kernels.f32.forward = ranvier::RANVIER_GPU::forward;  // the gradient and float64 (kernels.f64) stay Ranvier's
}
