// GPUs for Python: which there are, their memory, streams and events. Streams and events cross as numbers, which are
// CUDA's own handles; python/ranvier/cuda.py owns them.
#include "core/error.h"
#include "cuda/runtime/runtime.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

py::object why_not() {
  const std::string reason = gpu::why_not();
  return reason.empty() ? py::object(py::none()) : py::object(py::str(reason));
}

py::dict device_facts(int device) {
  const gpu::DeviceFacts facts = gpu::device_facts(device);
  return py::dict("name"_a = facts.name, "capability"_a = py::make_tuple(facts.major, facts.minor),
                  "processors"_a = facts.processors, "total_bytes"_a = facts.total_bytes,
                  "free_bytes"_a = facts.free_bytes);
}

py::dict memory_stats_of(int device) {
  gpu::require(device);
  const MemoryStats stats = gpu::memory_stats(device);
  return py::dict("in_use"_a = stats.in_use, "peak_in_use"_a = stats.peak_in_use, "reserved"_a = stats.reserved,
                  "allocations"_a = stats.allocations, "system_allocations"_a = stats.system_allocations);
}

}  // namespace

void bind_cuda(py::module_& m) {
  m.def("_cuda_built", &gpu::built);
  m.def("_cuda_why_not", &why_not);
  m.def("_cuda_device_count", &gpu::device_count);
  m.def("_cuda_require", &gpu::require, "device"_a);
  m.def("_cuda_device_facts", &device_facts, "device"_a);
  m.def("_cuda_memory_stats", &memory_stats_of, "device"_a);
  m.def(
      "_cuda_release_cached_memory",
      [](int device) {
        gpu::require(device);
        gpu::release_cached_memory(device);
      },
      "device"_a, releases_gil());
  m.def(
      "_cuda_reset_peak_memory",
      [](int device) {
        gpu::require(device);
        gpu::reset_peak_memory(device);
      },
      "device"_a);
  m.def("_cuda_synchronize", &gpu::synchronize, "device"_a, releases_gil());
  m.def("_cuda_current_stream", &gpu::current_stream, "device"_a);
  m.def("_cuda_use_stream", &gpu::use_stream, "device"_a, "stream"_a);
  m.def("_cuda_new_stream", &gpu::new_stream, "device"_a);
  m.def("_cuda_free_stream", &gpu::free_stream, "device"_a, "stream"_a);
  m.def("_cuda_synchronize_stream", &gpu::synchronize_stream, "device"_a, "stream"_a, releases_gil());
  m.def("_cuda_stream_done", &gpu::stream_done, "device"_a, "stream"_a);
  m.def("_cuda_wait_for_stream", &gpu::wait_for_stream, "device"_a, "waiting"_a, "first"_a);
  m.def("_cuda_new_event", &gpu::new_event, "device"_a, "timing"_a);
  m.def("_cuda_free_event", &gpu::free_event, "event"_a);
  m.def("_cuda_record_event", &gpu::record_event, "device"_a, "event"_a, "stream"_a);
  m.def("_cuda_wait_for_event", &gpu::wait_for_event, "device"_a, "stream"_a, "event"_a);
  m.def("_cuda_synchronize_event", &gpu::synchronize_event, "event"_a, releases_gil());
  m.def("_cuda_event_done", &gpu::event_done, "event"_a);
  m.def("_cuda_elapsed_ms", &gpu::elapsed_ms, "start"_a, "end"_a);
}

}  // namespace ranvier
