// The host side of kernels on a GPU: what csrc/cuda/launch.h asks for, on the device that dispatch has chosen.
#include <cuda_runtime_api.h>

#include "cuda/runtime/status.h"

#define RANVIER_GPU on_cuda
#include "cuda/workspace.h"

namespace ranvier::on_cuda {
namespace {

int device_now() {
  int device = 0;
  gpu::check(cudaGetDevice(&device), "asking for the current device");
  return device;
}

}  // namespace

void* current_stream() { return gpu::stream_now(device_now()); }

Workspace::Workspace(std::size_t bytes)
    : data_(bytes > 0 ? gpu::allocate(device_now(), bytes) : nullptr), bytes_(bytes) {}

Workspace::Workspace(const void* from_host, std::size_t bytes) : Workspace(bytes) {
  gpu::copy_to_device(device_now(), data_, from_host, bytes);
}

// The kernels that use it were launched on the stream that it goes back to.
Workspace::~Workspace() {
  if (data_ == nullptr) return;
  int device = 0;
  if (cudaGetDevice(&device) == cudaSuccess) gpu::deallocate(device, data_);
}

void Workspace::to_host(void* to, std::size_t bytes) const { gpu::copy_to_host(device_now(), to, data_, bytes); }

}  // namespace ranvier::on_cuda
