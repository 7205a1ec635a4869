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

#include "core/error.h"

#define RANVIER_GPU on_cuda

#define DYNAMIC_SHARED(T, name)                            \
  extern __shared__ __align__(16) unsigned char name##_[]; \
  T* name = reinterpret_cast<T*>(name##_)

namespace ranvier {

template <auto Kernel, typename... Arguments>
void launch(dim3 grid, dim3 block, std::size_t shared_bytes, void* stream, Arguments... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream);
  const cudaError_t status = cudaLaunchKernelEx(&config, Kernel, arguments...);
  if (status != cudaSuccess) throw DeviceError(message(__PRETTY_FUNCTION__, ": ", cudaGetErrorString(status)));
}

}  // namespace ranvier

#endif
