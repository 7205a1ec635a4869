// What stands for CUDA where the build has none: no array can be made on a GPU, so hardly anything is asked.
#include "core/error.h"
#include "cuda/runtime/graph.h"
#include "cuda/runtime/runtime.h"

namespace ranvier::gpu {
namespace {

[[noreturn]] void refuse(int device = 0) {
  throw DeviceError(
      message("device 'cuda:", device, "' is not available: ", why_not(), "; use 'cpu', 'sim' or 'reference'"));
}

}  // namespace

bool built() { return false; }
std::string why_not() { return "this build has no kernels for a GPU (built with RANVIER_CUDA=OFF, or without nvcc)"; }
int device_count() { return 0; }
void require(int device) { refuse(device); }
DeviceFacts device_facts(int) { refuse(); }
const KernelTable& kernels() { refuse(); }
const CudaLadders& ladders() { refuse(); }

int OnDevice::enter(int) { refuse(); }
void OnDevice::leave(int) noexcept {}

std::unique_ptr<Graph> Graph::capture(int, const std::function<void()>&) { refuse(); }

void* allocate(int, std::size_t) { refuse(); }
void deallocate(int, void*) noexcept {}
MemoryStats memory_stats(int) { refuse(); }
void release_cached_memory(int) noexcept {}
void reset_peak_memory(int) { refuse(); }
void zero(int, void*, std::size_t) { refuse(); }
void copy_to_device(int, void*, const void*, std::size_t) { refuse(); }
void copy_to_host(int, void*, const void*, std::size_t) { refuse(); }
void copy_between(int, void*, int, const void*, std::size_t) { refuse(); }

Handle current_stream(int) { refuse(); }
Handle use_stream(int, Handle) { refuse(); }
Handle new_stream(int) { refuse(); }
void free_stream(int, Handle) noexcept {}
void synchronize_stream(int, Handle) { refuse(); }
void synchronize(int) { refuse(); }
bool stream_done(int, Handle) { refuse(); }
void wait_for_stream(int, Handle, Handle) { refuse(); }
Handle new_event(int, bool) { refuse(); }
void free_event(Handle) noexcept {}
void record_event(int, Handle, Handle) { refuse(); }
void wait_for_event(int, Handle, Handle) { refuse(); }
void synchronize_event(Handle) { refuse(); }
bool event_done(Handle) { refuse(); }
double elapsed_ms(Handle, Handle) { refuse(); }

}  // namespace ranvier::gpu
