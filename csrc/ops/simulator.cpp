// The simulator's switches and what it saw, for ranvier/sim.py.
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

// The options of the launches to come; returns those before.
py::tuple set_options(const std::string& schedule, uint64_t seed, bool check, bool trace) {
  sim::Options next;
  next.schedule = schedule_named(schedule);
  next.seed = seed;
  next.check = check;
  next.trace = trace;
  sim::Options before;
  {
    const py::gil_scoped_release release;  // a launch may be under way, and its report needs Python
    const std::lock_guard<std::mutex> lock(sim::launch_mutex());
    before = std::exchange(sim::options(), next);
  }
  return py::make_tuple(schedule_name(before.schedule), before.seed, before.check, before.trace);
}

py::tuple options() {
  sim::Options now;
  {
    const py::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(sim::launch_mutex());
    now = sim::options();
  }
  return py::make_tuple(schedule_name(now.schedule), now.seed, now.check, now.trace);
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

py::list trace_lines() {
  std::vector<sim::Line> lines;
  {
    const py::gil_scoped_release release;
    lines = sim::traced_lines();
  }
  py::list result;
  for (const sim::Line& line : lines) {
    std::string place;
    {
      const py::gil_scoped_release release;
      place = sim::line_of(line.place);
    }
    result.append(py::dict("kernel"_a = line.kernel, "place"_a = place, "space"_a = line.shared ? "shared" : "global",
                           "access"_a = line.write ? "write" : "read", "requests"_a = line.requests,
                           "lanes"_a = line.lanes, "bytes"_a = line.bytes, "sectors"_a = line.sectors,
                           "wavefronts"_a = line.wavefronts));
  }
  return result;
}

py::list trace_kernels() {
  std::vector<sim::Counted> kernels;
  {
    const py::gil_scoped_release release;
    kernels = sim::traced_kernels();
  }
  py::list result;
  for (const sim::Counted& k : kernels) {
    result.append(py::dict("kernel"_a = k.kernel, "launches"_a = k.launches, "blocks"_a = k.blocks,
                           "threads"_a = k.threads, "barriers"_a = k.barriers));
  }
  return result;
}

}  // namespace

void bind_simulator(py::module_& m) {
  m.def("_sim_set_options", &set_options, "schedule"_a, "seed"_a, "check"_a, "trace"_a);
  m.def("_sim_options", &options);
  m.def("_sim_set_line_finder", &set_line_finder, "finder"_a);
  m.def("_sim_clear_trace", &sim::clear_trace, releases_gil());
  m.def("_sim_trace_lines", &trace_lines);
  m.def("_sim_trace_kernels", &trace_kernels);
}

}  // namespace ranvier
