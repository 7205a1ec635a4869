// Devices, streams and events. Each device has a stream of its own, which does not wait for CUDA's default one: work of
// other libraries is waited for where arrays are exchanged (DLPack).
#include <algorithm>
#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/own_kernels.h"
#include "cuda/runtime/status.h"

namespace ranvier {

namespace on_cuda {
extern const KernelTable kernel_table;
extern const CudaLadders ladders;
}  // namespace on_cuda

namespace gpu {
namespace {

struct DeviceState {
  std::mutex mutex;
  cudaStream_t own = nullptr;
  std::vector<cudaStream_t> others;  // all that there have been
  std::vector<cudaStream_t> idle;    // of those, the ones that nobody holds
};

DeviceState& state_of(int device) {
  static auto* states = new std::array<DeviceState, kMaxDevices>;  // never destroyed: arrays may outlive the end
  return (*states)[static_cast<std::size_t>(device)];
}

thread_local std::array<cudaStream_t, kMaxDevices> t_streams{};  // null: the device's own

cudaStream_t make_stream(int device) {
  const OnDevice here({DeviceKind::Cuda, device});
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  return stream;
}

cudaStream_t own_stream(int device) {
  DeviceState& state = state_of(device);
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (state.own == nullptr) state.own = make_stream(device);
  return state.own;
}

cudaEvent_t event_of(Handle handle) { return reinterpret_cast<cudaEvent_t>(handle); }
Handle handle_of(void* pointer) { return reinterpret_cast<Handle>(pointer); }

bool done(cudaError_t status, const char* tried) {
  if (status == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  check(status, tried);
  return true;
}

}  // namespace

const KernelTable& kernels() { return *with_own_kernels(&on_cuda::kernel_table, DeviceKind::Cuda); }
const CudaLadders& ladders() { return on_cuda::ladders; }

int OnDevice::enter(int device) {
  int outer = 0;
  check(cudaGetDevice(&outer), "asking for the current device");
  if (outer != device) check(cudaSetDevice(device), "choosing a device");
  return outer;
}

void OnDevice::leave(int outer) noexcept {
  int now = outer;
  if (cudaGetDevice(&now) == cudaSuccess && now != outer) cudaSetDevice(outer);
}

DeviceFacts device_facts(int device) {
  require(device);
  const OnDevice here({DeviceKind::Cuda, device});
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "asking for a device's properties");
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for a device's memory");
  return {properties.name,
          properties.major,
          properties.minor,
          properties.multiProcessorCount,
          static_cast<int64_t>(total),
          static_cast<int64_t>(free)};
}

cudaStream_t stream_now(int device) {
  cudaStream_t stream = t_streams[static_cast<std::size_t>(device)];
  return stream != nullptr ? stream : own_stream(device);
}

int record_on_streams(int device, cudaStream_t except, cudaEvent_t* events, int most) {
  DeviceState& state = state_of(device);
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (state.others.empty()) return 0;  // the device's own stream is all there is
  const OnDevice here({DeviceKind::Cuda, device});
  int count = 0;
  const auto record = [&](cudaStream_t stream) {
    if (stream == nullptr || stream == except || count == most) return;
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
    events[count++] = event;
    check(cudaEventRecord(event, stream), "recording an event");
  };
  record(state.own);
  for (cudaStream_t stream : state.others) record(stream);
  return count;
}

Handle current_stream(int device) {
  require(device);
  return handle_of(stream_now(device));
}

Handle use_stream(int device, Handle stream) {
  require(device);
  return handle_of(std::exchange(t_streams[static_cast<std::size_t>(device)], stream_of(stream)));
}

Handle new_stream(int device) {
  require(device);
  own_stream(device);
  DeviceState& state = state_of(device);
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (state.idle.empty()) {
    if (static_cast<int>(state.others.size()) + 1 >= kMostStreams) {
      throw DeviceError(message("cuda: more than ", kMostStreams - 1, " streams of a device are in use"));
    }
    state.others.reserve(kMostStreams);
    state.idle.reserve(kMostStreams);  // so that free_stream cannot fail
    state.others.push_back(make_stream(device));
    return handle_of(state.others.back());
  }
  cudaStream_t stream = state.idle.back();
  state.idle.pop_back();
  return handle_of(stream);
}

void free_stream(int device, Handle stream) noexcept {
  DeviceState& state = state_of(device);
  const std::lock_guard<std::mutex> lock(state.mutex);
  state.idle.push_back(stream_of(stream));
}

void synchronize_stream(int device, Handle stream) {
  const OnDevice here({DeviceKind::Cuda, device});
  check(cudaStreamSynchronize(stream_of(stream)), "waiting for a stream");
}

void synchronize(int device) {
  require(device);
  const OnDevice here({DeviceKind::Cuda, device});
  check(cudaDeviceSynchronize(), "waiting for a device");
}

bool stream_done(int device, Handle stream) {
  const OnDevice here({DeviceKind::Cuda, device});
  return done(cudaStreamQuery(stream_of(stream)), "asking for a stream");
}

void wait_for_stream(int device, Handle waiting, Handle first) {
  if (waiting == first) return;
  const Handle event = new_event(device, false);
  try {
    record_event(device, event, first);
    wait_for_event(device, waiting, event);
  } catch (...) {
    free_event(event);
    throw;
  }
  free_event(event);  // CUDA keeps it until it has happened
}

Handle new_event(int device, bool timing) {
  require(device);
  const OnDevice here({DeviceKind::Cuda, device});
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, timing ? cudaEventDefault : cudaEventDisableTiming), "making an event");
  return handle_of(event);
}

void free_event(Handle event) noexcept { cudaEventDestroy(event_of(event)); }

void record_event(int device, Handle event, Handle stream) {
  const OnDevice here({DeviceKind::Cuda, device});
  check(cudaEventRecord(event_of(event), stream_of(stream)), "recording an event");
}

void wait_for_event(int device, Handle stream, Handle event) {
  const OnDevice here({DeviceKind::Cuda, device});
  check(cudaStreamWaitEvent(stream_of(stream), event_of(event), 0), "letting a stream wait");
}

void synchronize_event(Handle event) { check(cudaEventSynchronize(event_of(event)), "waiting for an event"); }

bool event_done(Handle event) { return done(cudaEventQuery(event_of(event)), "asking for an event"); }

double elapsed_ms(Handle start, Handle end) {
  float ms = 0;
  check(cudaEventElapsedTime(&ms, event_of(start), event_of(end)), "asking for the time between two events");
  return ms;
}

}  // namespace gpu
}  // namespace ranvier
