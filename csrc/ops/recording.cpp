// Recording for Python, and the small in-place steps on host scalars that a recorded step needs.
#include "core/recording.h"

#include <optional>
#include <variant>

#include "core/checks.h"
#include "core/device_memory.h"
#include "core/dispatch.h"
#include "ops/arguments.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

// counter += 1, an int64 scalar.
void increment(Array& counter) {
  check_dtype("increment", "counter", counter, DType::Int64);
  check_shape("increment", "counter", counter, {});
  check_writable("increment", "counter", counter);
  run("increment", [counter]() mutable {
    const HostValues before(counter);
    const int64_t after = *before.data<int64_t>() + 1;
    set_values(counter, &after);
  });
}

double scalar_of(const Array& array) {
  const HostValues value(array);  // of a device: waits for it
  return array.dtype() == DType::Float32 ? static_cast<double>(*value.data<float>()) : *value.data<double>();
}

// state (total, count; float64) += (value * scale, count): how a metric adds a batch. The count may be an array.
void accumulate(Array& state, const Array& value, double scale, const std::variant<double, Array>& count) {
  check_dtype("accumulate", "state", state, DType::Float64);
  check_shape("accumulate", "state", state, {2});
  check_writable("accumulate", "state", state);
  check_floating("accumulate", "value", value);
  check_shape("accumulate", "value", value, {});
  std::optional<Array> live;
  if (const auto* array = std::get_if<Array>(&count)) {
    check_floating("accumulate", "count", *array);
    check_shape("accumulate", "count", *array, {});
    live = *array;
  }
  const double fixed = live ? 0 : std::get<double>(count);
  run("accumulate", [=]() mutable {
    const HostValues before(state);
    const double after[] = {before.data<double>()[0] + scalar_of(value) * scale,
                            before.data<double>()[1] + (live ? scalar_of(*live) : fixed)};
    set_values(state, after);
  });
}

}  // namespace

void bind_recording(py::module_& m) {
  py::class_<Recording, std::shared_ptr<Recording>>(m, "_Recording",
                                                    "The kernel calls of a step, to run again without Python.")
      .def(py::init<>())
      .def("begin", &Recording::begin)
      .def("end", &Recording::end)
      .def("refuse", &Recording::refuse, "reason"_a)
      .def(
          "replay",
          [](Recording& self, std::vector<Array> inputs, const std::vector<Array>& sources) {
            self.replay(inputs, sources);
          },
          "inputs"_a, "sources"_a, releases_gil())
      .def_property_readonly("refusal", &Recording::refusal)
      .def_property_readonly("calls", &Recording::names)
      .def_property_readonly("repeatable", &Recording::repeatable, "Which calls a CUDA graph could hold.")
      .def_property_readonly("graphs", &Recording::graphs, "How many CUDA graphs there are.")
      .def_property_readonly("captured", &Recording::captured, "How many calls are inside of them.")
      .def_property_readonly("why_no_graphs", &Recording::why_no_graphs)
      .def_property_readonly("pool_bytes", &Recording::pool_bytes);
  m.def("_is_recording", [] { return Recording::current() != nullptr; });
  m.def("_increment", &increment, "counter"_a);
  m.def("_accumulate", &accumulate, "state"_a, "value"_a, "scale"_a, "count"_a);
}

}  // namespace ranvier
