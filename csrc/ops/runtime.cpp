// Threads, instruction sets, memory and build facts for Python.
#include "core/allocator.h"
#include "core/kernel_table.h"
#include "core/own_kernels.h"
#include "core/parallel.h"
#include "ops/binding.h"

#ifndef RANVIER_VERSION
#define RANVIER_VERSION "0"
#endif

namespace ranvier {
namespace {

py::dict memory_stats_dict() {
  const MemoryStats stats = memory_stats();
  return py::dict("in_use"_a = stats.in_use, "peak_in_use"_a = stats.peak_in_use, "reserved"_a = stats.reserved,
                  "allocations"_a = stats.allocations, "system_allocations"_a = stats.system_allocations);
}

std::string compiler_text() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "g++ " __VERSION__;
#else
  return "unknown";
#endif
}

py::dict build_facts() {
  return py::dict("version"_a = RANVIER_VERSION, "compiler"_a = compiler_text(), "isas_built"_a = built_isas(),
                  "isas_usable"_a = usable_isas(), "isa"_a = chosen_isa(), "threads"_a = num_threads(),
                  "cuda_status"_a = RANVIER_CUDA_STATUS);
}

}  // namespace

void bind_runtime(py::module_& m) {
  m.def("_default_device", [] { return device_name(default_device()); });
  m.def("_set_default_device", [](const std::string& name) { set_default_device(device_argument(name)); }, "name"_a);
  m.def(
      "_set_thread_device",
      [](const std::optional<std::string>& name) -> std::optional<std::string> {
        const auto outer = set_thread_device(name ? std::optional(device_argument(*name)) : std::nullopt);
        return outer ? std::optional(device_name(*outer)) : std::nullopt;
      },
      "name"_a, "Returns the name before.");
  chosen_isa();   // so that a wrong RANVIER_ISA or RANVIER_NUM_THREADS is an ImportError that says so,
  num_threads();  // and no lock of theirs is taken for the first time around a fork
  memory_stats();
  m.def("_build_facts", &build_facts);
  m.def("_isa", &chosen_isa);
  m.def("_usable_isas", &usable_isas);
  m.def("_set_isa", &set_isa, "name"_a);
  m.def("_use_kernels", &use_kernels, "path"_a);
  m.def("_reset_kernels", &reset_kernels);
  m.def("_enable_own_kernels", &enable_own_kernels, "on"_a);
  m.def("_own_kernels", &own_kernels);
  m.def("num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads, "threads"_a, releases_gil());
  m.def("default_num_threads", &default_num_threads);
  m.def("memory_stats", &memory_stats_dict);
  m.def("reset_peak_memory", &reset_peak_memory);
  m.def("release_cached_memory", &release_cached_memory, releases_gil());
}

}  // namespace ranvier
