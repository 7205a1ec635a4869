// Every status of CUDA's run-time passes through check().
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "cuda/runtime/runtime.h"

namespace ranvier::gpu {

// Throws DeviceError: what was tried, CUDA's words for what came, and the kernels launched last where one has failed.
void check(cudaError_t status, const char* tried);

// Called by `launch` (cuda/cuda.h) with the status of each; throws DeviceError with the kernel's name. With
// RANVIER_CUDA_LAUNCH_BLOCKING=1 it waits for the kernel, so that one that fails is named for certain.
void launched(const char* pretty_function, cudaError_t status, cudaStream_t stream);

inline cudaStream_t stream_of(Handle handle) { return reinterpret_cast<cudaStream_t>(handle); }

// The default stream of each device, and how many others there have been: device.cpp.
struct Streams {
  cudaStream_t own = nullptr;
  int others = 0;
};
cudaStream_t stream_now(int device);  // where this thread's work goes
// Events on every stream of the device but `except`, to wait for; the number of events written to `events`.
int record_on_streams(int device, cudaStream_t except, cudaEvent_t* events, int most);
constexpr int kMostStreams = 32;  // of a device

}  // namespace ranvier::gpu
