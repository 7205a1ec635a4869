// CUDA on the host, without a word of CUDA: what the rest of the library asks of a GPU. Built without nvcc, all of it
// is absent/absent.cpp, where why_not() says so. Nothing here touches the driver before it is asked.
//
//   status.cpp   every status checked, kernels that failed named      device.cpp   which there are, streams, events
//   memory.cpp   device and pinned memory, cached; copies             workspace.cpp   what csrc/cuda/launch.h promises
//   graph.cpp    calls of a step captured into a CUDA graph (graph.h)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/allocator.h"
#include "core/device.h"
#include "cuda/runtime/on_device.h"

namespace ranvier {

struct CudaLadders;

namespace gpu {

constexpr int kMaxDevices = 64;

bool built();              // whether this build has kernels for a GPU
std::string why_not();     // why there is no GPU to use; empty where there is
int device_count();        // 0 where why_not() has an answer
void require(int device);  // throws DeviceError unless there is such a device

struct DeviceFacts {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int processors = 0;        // streaming multiprocessors
  int64_t total_bytes = 0, free_bytes = 0;
};
DeviceFacts device_facts(int device);

const CudaLadders& ladders();

// --- memory: asynchronous, in the order of the device's current stream
// ------------------------------------------------

void* allocate(int device, std::size_t bytes);  // throws OutOfMemory
void deallocate(int device, void* pointer) noexcept;
MemoryStats memory_stats(int device);
void release_cached_memory(int device) noexcept;
void reset_peak_memory(int device);

void zero(int device, void* to, std::size_t bytes);
void copy_to_device(int device, void* to, const void* from, std::size_t bytes);  // `from` may go at once
void copy_to_host(int device, void* to, const void* from, std::size_t bytes);    // waits
void copy_between(int to_device, void* to, int from_device, const void* from, std::size_t bytes);

// --- streams and events: the runtime's own handles
// --------------------------------------------------------------------

using Handle = std::uintptr_t;

Handle current_stream(int device);             // of this thread
Handle use_stream(int device, Handle stream);  // 0: the device's own; returns the one before
Handle new_stream(int device);
void free_stream(int device, Handle stream) noexcept;  // it is kept for the next that is asked for
void synchronize_stream(int device, Handle stream);    // throws DeviceError for a kernel that failed
void synchronize(int device);                          // all streams of a device
bool stream_done(int device, Handle stream);
void wait_for_stream(int device, Handle waiting, Handle first);  // what `waiting` is given from here on comes after

Handle new_event(int device, bool timing);
void free_event(Handle event) noexcept;
void record_event(int device, Handle event, Handle stream);
void wait_for_event(int device, Handle stream, Handle event);
void synchronize_event(Handle event);
bool event_done(Handle event);
double elapsed_ms(Handle start, Handle end);

}  // namespace gpu
}  // namespace ranvier
