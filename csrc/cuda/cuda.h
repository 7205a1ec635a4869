// The first include of every .cu file: CUDA itself under nvcc, the simulator's words for it under a host compiler; and
// `launch`, which stands for <<<>>> in both:
//
//   launch<scale<float>>(blocks, threads, shared_bytes, stream, x, y, n);
//
// The kernel is a template argument, so that its name is known when it fails.
#pragma once

#if !defined(__CUDACC__)

#include "sim/cuda.h"

#define RANVIER_GPU on_sim  // the namespace of kernels: those of the simulator and of a GPU live in one library

#else

#include <cuda_runtime.h>

#define RANVIER_GPU on_cuda

#define DYNAMIC_SHARED(T, name)                            \
  extern __shared__ __align__(16) unsigned char name##_[]; \
  T* name = reinterpret_cast<T*>(name##_)

namespace ranvier {

namespace gpu {
// Names the kernel if its launch has failed (csrc/cuda/runtime/status.cpp).
void launched(const char* pretty_function, cudaError_t status, cudaStream_t stream);
}  // namespace gpu

constexpr std::size_t kOrdinaryShared = 48 * 1024;  // dynamic shared memory beyond it has to be asked for

template <auto Kernel, typename... Arguments>
void launch(dim3 grid, dim3 block, std::size_t shared_bytes, void* stream, Arguments... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream);
  cudaError_t status = cudaSuccess;
  if (shared_bytes > kOrdinaryShared) {
    status = cudaFuncSetAttribute(Kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  }
  if (status == cudaSuccess) status = cudaLaunchKernelEx(&config, Kernel, arguments...);
  gpu::launched(__PRETTY_FUNCTION__, status, config.stream);
}

}  // namespace ranvier

#endif
