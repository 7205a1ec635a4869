// Kernels with one fault each, and beside each the same kernel without it. tests/sim/test_faults.py compiles this file,
// runs each under every schedule, and reads the report.
#include "cuda/cuda.h"

#include <exception>

namespace {

using ranvier::launch;

__global__ void reverse_tile(const float* x, float* y, bool wait) {
  __shared__ float tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  if (wait) __syncthreads();
  y[threadIdx.x] = tile[63 - threadIdx.x];
}

__global__ void divergent_barrier(float* y, bool fault) {
  if (!fault || threadIdx.x < 32) __syncthreads();
  y[threadIdx.x] = 1.0f;
}

__global__ void two_barriers(float* y, bool fault) {
  if (fault && threadIdx.x == 5) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = 1.0f;
}

__global__ void early_exit(float* y, bool fault) {
  if (fault && threadIdx.x == 7) return;
  y[threadIdx.x] = 1.0f;
  __syncthreads();
}

__global__ void bad_mask(float* y, bool fault) {
  const unsigned mask = fault ? 0x0000ffffu : 0xffffffffu;
  y[threadIdx.x] = __shfl_xor_sync(mask, static_cast<float>(threadIdx.x), 1);
}

__global__ void exited_lane(float* y, bool fault) {
  y[threadIdx.x] = 0.0f;
  if (fault && threadIdx.x == 31) return;
  y[threadIdx.x] = __shfl_down_sync(0xffffffffu, 1.0f, 1);
}

__global__ void missing_syncwarp(float* y, bool fault) {
  __shared__ float tile[32];
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (!fault) __syncwarp();
  y[threadIdx.x] = tile[threadIdx.x ^ 1];
}

__global__ void uninitialised(float* y, bool fault) {
  __shared__ float tile[64];
  if (!fault || threadIdx.x != 9) tile[threadIdx.x] = 1.0f;
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x];
}

__global__ void past_the_end(float* y, int n, bool fault) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (fault ? i <= n : i < n) y[i] = 1.0f;
}

__global__ void shared_past_the_end(float* y, bool fault) {
  DYNAMIC_SHARED(float, tile);
  const unsigned i = fault ? threadIdx.x + 1 : threadIdx.x;
  tile[i] = 1.0f;
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x + (fault ? 1 : 0)];
}

__global__ void blocks_collide(float* y, bool fault) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  y[fault ? threadIdx.x : i] = static_cast<float>(i);
}

__global__ void unwritten(const float* scratch, float* y, bool fault) {
  y[threadIdx.x] = fault ? scratch[threadIdx.x] : 0.0f;
}

__global__ void sum_without_atomics(float* y, bool fault) {
  if (fault) {
    y[0] += 1.0f;
  } else {
    atomicAdd(y, 1.0f);
  }
}

__global__ void neighbouring_bytes(unsigned char* y, bool fault) {
  y[fault ? threadIdx.x / 2 : threadIdx.x] = static_cast<unsigned char>(threadIdx.x);
}

}  // namespace

static void run(const char* name, bool fault, const float* x, float* y, float* scratch, int n) {
  const auto is = [name](const char* other) { return __builtin_strcmp(name, other) == 0; };
  if (is("reverse_tile")) launch<reverse_tile>(1, 64, 0, nullptr, x, y, !fault);
  if (is("divergent_barrier")) launch<divergent_barrier>(1, 64, 0, nullptr, y, fault);
  if (is("two_barriers")) launch<two_barriers>(1, 64, 0, nullptr, y, fault);
  if (is("early_exit")) launch<early_exit>(1, 64, 0, nullptr, y, fault);
  if (is("bad_mask")) launch<bad_mask>(1, 32, 0, nullptr, y, fault);
  if (is("exited_lane")) launch<exited_lane>(1, 32, 0, nullptr, y, fault);
  if (is("missing_syncwarp")) launch<missing_syncwarp>(1, 32, 0, nullptr, y, fault);
  if (is("uninitialised")) launch<uninitialised>(1, 64, 0, nullptr, y, fault);
  if (is("past_the_end")) launch<past_the_end>((n + 63) / 64 + 1, 64, 0, nullptr, y, n, fault);
  if (is("shared_past_the_end")) launch<shared_past_the_end>(1, 64, 64 * sizeof(float), nullptr, y, fault);
  if (is("blocks_collide")) launch<blocks_collide>(2, 32, 0, nullptr, y, fault);
  if (is("unwritten")) launch<unwritten>(1, 32, 0, nullptr, scratch, y, fault);
  if (is("sum_without_atomics")) launch<sum_without_atomics>(2, 32, 0, nullptr, y, fault);
  if (is("neighbouring_bytes")) {
    launch<neighbouring_bytes>(1, 64, 0, nullptr, reinterpret_cast<unsigned char*>(y), fault);
  }
}

// The report, empty where nothing was found: an exception must not pass through the C of ctypes.
extern "C" void run_fault(const char* name, bool fault, const float* x, float* y, float* scratch, int n, char* report) {
  report[0] = 0;
  try {
    run(name, fault, x, y, scratch, n);
  } catch (const std::exception& error) {
    __builtin_strncpy(report, error.what(), 2047);
  }
}
