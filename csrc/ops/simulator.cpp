// The simulator's switches and what it saw, for ranvier/sim/__init__.py.
#include "core/checks.h"
#include "ops/binding.h"
#include "sim/arrays.h"
#include "sim/report.h"
#include "sim/trace.h"

namespace ranvier {
namespace {

sim::Schedule schedule_named(const std::string& name) {
  if (name == "forward") return sim::Schedule::Forward;
  if (name == "reverse") return sim::Schedule::Reverse;
  if (name == "random") return sim::Schedule::Random;
  throw ValueError(message("sim: schedule must be 'forward', 'reverse' or 'random' but is '", name, "'"));
}

const char* schedule_name(sim::Schedule schedule) {
  return schedule == sim::Schedule::Forward ? "forward" : schedule == sim::Schedule::Reverse ? "reverse" : "random";
}

py::tuple as_tuple(const sim::Options& options) {
  const sim::Size3 block = options.kept_block;
  return py::make_tuple(schedule_name(options.schedule), options.seed, options.check, options.trace,
                        py::make_tuple(block.x, block.y, block.z));
}

// The options of the launches to come; returns those before.
py::tuple set_options(const std::string& schedule, uint64_t seed, bool check, bool trace,
                      const std::tuple<unsigned, unsigned, unsigned>& kept_block) {
  sim::Options next;
  next.schedule = schedule_named(schedule);
  next.seed = seed;
  next.check = check;
  next.trace = trace;
  next.kept_block = {std::get<0>(kept_block), std::get<1>(kept_block), std::get<2>(kept_block)};
  sim::Options before;
  {
    const py::gil_scoped_release release;  // a launch may be under way, and its report needs Python
    const std::lock_guard<std::mutex> lock(sim::launch_mutex());
    before = std::exchange(sim::options(), next);
  }
  return as_tuple(before);
}

py::tuple options() {
  sim::Options now;
  {
    const py::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(sim::launch_mutex());
    now = sim::options();
  }
  return as_tuple(now);
}

// Python's reader of line tables; lives as long as the process.
PyObject* line_finder = nullptr;

std::string find_line(const sim::CodeAddress& address) {
  const py::gil_scoped_acquire gil;
  try {
    const auto found = py::reinterpret_borrow<py::object>(line_finder)(address.module, address.offset);
    return found.is_none() ? std::string() : found.cast<std::string>();
  } catch (const py::error_already_set&) {  // a report without lines is better than none
    return {};
  }
}

void set_line_finder(const py::object& finder) {
  line_finder = finder.inc_ref().ptr();
  sim::set_line_finder(&find_line);
}

std::string line_of(const void* place) {
  const py::gil_scoped_release release;
  return sim::line_of(place);
}

const char* space_name(sim::Space space) {
  switch (space) {
    case sim::Space::Global: return "global";
    case sim::Space::Shared: return "shared";
    case sim::Space::Warp: return "warp";
    default: return "block";
  }
}

template <typename T>
std::vector<T> found_by(std::vector<T> (*find)()) {
  const py::gil_scoped_release release;
  return find();
}

py::list trace_lines() {
  py::list result;
  for (const sim::Line& line : found_by(sim::traced_lines)) {
    result.append(py::dict("kernel"_a = line.kernel, "place"_a = line_of(line.place),
                           "space"_a = space_name(line.space), "access"_a = line.access, "requests"_a = line.requests,
                           "lanes"_a = line.lanes, "divergent"_a = line.divergent, "bytes"_a = line.bytes,
                           "sectors"_a = line.sectors, "wavefronts"_a = line.wavefronts));
  }
  return result;
}

py::list trace_requests() {
  py::list result;
  for (const sim::Seen& seen : found_by(sim::traced_requests)) {
    result.append(py::dict("kernel"_a = seen.kernel, "place"_a = line_of(seen.place),
                           "code"_a = reinterpret_cast<std::uintptr_t>(seen.place),
                           "space"_a = seen.shared ? "shared" : "global", "access"_a = seen.write ? "write" : "read",
                           "warp"_a = seen.warp, "time"_a = seen.time, "bytes"_a = seen.bytes, "object"_a = seen.object,
                           "object_bytes"_a = seen.object_bytes, "lanes"_a = seen.lanes, "offsets"_a = seen.offsets));
  }
  return result;
}

py::list trace_kernels() {
  py::list result;
  for (const sim::Counted& k : found_by(sim::traced_kernels)) {
    result.append(py::dict("kernel"_a = k.kernel, "launches"_a = k.launches, "blocks"_a = k.blocks,
                           "threads"_a = k.threads, "barriers"_a = k.barriers));
  }
  return result;
}

py::dict memory_stats_of_sim() {
  const MemoryStats stats = sim::memory_stats();
  return py::dict("in_use"_a = stats.in_use, "peak_in_use"_a = stats.peak_in_use, "reserved"_a = stats.reserved,
                  "allocations"_a = stats.allocations, "system_allocations"_a = stats.system_allocations);
}

}  // namespace

void bind_simulator(py::module_& m) {
  m.def("_sim_set_options", &set_options, "schedule"_a, "seed"_a, "check"_a, "trace"_a, "kept_block"_a);
  m.def("_sim_memory_stats", &memory_stats_of_sim);
  m.def("_sim_options", &options);
  m.def("_sim_set_line_finder", &set_line_finder, "finder"_a);
  m.def("_sim_clear_trace", &sim::clear_trace, releases_gil());
  m.def("_sim_trace_lines", &trace_lines);
  m.def("_sim_trace_requests", &trace_requests);
  m.def("_sim_trace_kernels", &trace_kernels);
}

}  // namespace ranvier
