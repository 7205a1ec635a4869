#include "ops/random.h"

#include <array>
#include <cmath>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/arguments.h"
#include "ops/binding.h"
#include "tape/direct.h"

namespace ranvier {
namespace {

void check_finite(const char* op, const char* name, double value) {
  if (std::isfinite(value)) return;
  throw ValueError(message(op, ": ", name, " must be finite but is ", value));
}

uint64_t probability_threshold(const char* op, const char* name, double probability) {
  if (!(probability >= 0.0 && probability <= 1.0)) {
    throw ValueError(message(op, ": ", name, " must be in [0, 1] but is ", probability));
  }
  return static_cast<uint64_t>(probability * 0x1p32);
}

Array empty_floating(const char* op, const Shape& shape, const std::string& dtype, const std::string& device) {
  Array out = Array::empty(shape, dtype_argument(dtype), device_argument(device));
  check_floating(op, "dtype", out);
  return out;
}

Array random_uniform(const Shape& shape, const StreamKey& key, uint64_t counter, double low, double high,
                     const std::string& dtype, const std::string& device) {
  Array out = empty_floating("random_uniform", shape, dtype, device);
  check_finite("random_uniform", "low", low);
  check_finite("random_uniform", "high", high);
  if (!(low <= high)) throw ValueError(message("random_uniform: low is ", low, " but high is ", high));
  check_finite("random_uniform", "high - low", high - low);
  dispatch("random_uniform", out, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    const UniformRange range{low, high, std::nextafter(static_cast<T>(high), static_cast<T>(low))};
    kernels.random.continuous.template get<T>().uniform(key.at(counter), range, out.data<T>(), out.size());
  });
  return out;
}

Array random_normal(const Shape& shape, const StreamKey& key, uint64_t counter, double mean, double stddev,
                    bool truncated, const std::string& dtype, const std::string& device) {
  Array out = empty_floating("random_normal", shape, dtype, device);
  check_finite("random_normal", "mean", mean);
  check_finite("random_normal", "stddev", stddev);
  if (stddev < 0) throw ValueError(message("random_normal: stddev must not be negative but is ", stddev));
  dispatch("random_normal", out, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    const NormalShape bell{mean, stddev, truncated};
    kernels.random.continuous.template get<T>().normal(key.at(counter), bell, out.data<T>(), out.size());
  });
  return out;
}

Array random_bits(const Shape& shape, const StreamKey& key, uint64_t counter, const std::string& device) {
  Array out = Array::empty(shape, DType::Int64, device_argument(device));
  dispatch_untyped("random_bits", out, [=](const KernelTable& kernels) mutable {
    kernels.random.bits(key.at(counter), out.data<int64_t>(), out.size());
  });
  return out;
}

Array random_bernoulli(const Shape& shape, const StreamKey& key, uint64_t counter, double probability,
                       const std::string& device) {
  const uint64_t threshold = probability_threshold("random_bernoulli", "probability", probability);
  Array out = Array::empty(shape, DType::Bool, device_argument(device));
  dispatch_untyped("random_bernoulli", out, [=](const KernelTable& kernels) mutable {
    kernels.random.bernoulli(key.at(counter), threshold, out.data<uint8_t>(), out.size());
  });
  return out;
}

Array random_integers(const Shape& shape, const StreamKey& key, uint64_t counter, int64_t low, int64_t high,
                      const std::string& device) {
  if (low >= high) throw ValueError(message("random_integers: low is ", low, " but high is ", high));
  const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  Array out = Array::empty(shape, DType::Int64, device_argument(device));
  dispatch_untyped("random_integers", out, [=](const KernelTable& kernels) mutable {
    kernels.random.integers(key.at(counter), low, range, out.data<int64_t>(), out.size());
  });
  return out;
}

Array random_permutation(int64_t n, const StreamKey& key, uint64_t counter, const std::string& device) {
  if (n < 0) throw ValueError(message("random_permutation: n must not be negative but is ", n));
  Array out = Array::empty({n}, DType::Int64, device_argument(device));
  dispatch_untyped("random_permutation", out, [=](const KernelTable& kernels) mutable {
    kernels.random.permutation(key.at(counter), out.data<int64_t>(), n);
  });
  return out;
}

// Linear in x: the gradient is the same function of dy, with the same key and counter.
Array dropout_forward(const Array& x, double rate, const StreamKey& key, uint64_t counter) {
  check_floating("dropout", "x", x);
  if (!(rate >= 0.0 && rate < 1.0)) throw ValueError(message("dropout: rate must be in [0, 1) but is ", rate));
  const Dropout options{probability_threshold("dropout", "rate", rate), 1.0 / (1.0 - rate)};
  Array y = Array::empty_like(x);
  dispatch("dropout", x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.random.continuous.template get<T>().dropout(key.at(counter), options, x.data<T>(), y.data<T>(), x.size());
  });
  return y;
}

// --- the direct ways of a Generator's methods -------------------------------------------------------------------

PyTypeObject* state_type = nullptr;

// What a Generator holds. Not while a step is recorded: its draws are made anew by each replay.
struct Stream {
  RandomState& state;
};
struct StreamOfGenerator {
  py::object held = {};
  bool read(PyObject* generator, const direct::Leader& /*leader*/) {
    static PyObject* const name = PyUnicode_InternFromString("_state");
    held = py::reinterpret_steal<py::object>(PyObject_GetAttr(generator, name));
    if (!held) PyErr_Clear();
    return held && Py_TYPE(held.ptr()) == state_type && Recording::current() == nullptr;
  }
  Stream value() const { return {held.cast<RandomState&>()}; }
};

using Answer = std::optional<Array>;

// Elements of a shape, where they can be counted and asked for; else -1.
int64_t count_of(const Sizes& shape) {
  int64_t count = 1;
  for (const int64_t side : shape) {
    if (side < 0 || __builtin_mul_overflow(count, side, &count)) return -1;
  }
  return default_device().kind == DeviceKind::Cpu && count < (int64_t{1} << 40) ? count : -1;
}

template <typename Draw>
Array drawn(RandomState& state, int64_t words, Draw draw) {
  const PhiloxStream stream = state.reserve(static_cast<uint64_t>(words));
  std::optional<py::gil_scoped_release> release;
  if (4 * static_cast<std::size_t>(words) > direct::kLargeBytes) release.emplace();
  return draw(StreamKey{stream.key, nullptr}, stream.counter);
}

Answer draw_uniform(Stream stream, const Sizes& shape, double low, double high, const std::string& dtype) {
  const int64_t count = count_of(shape);
  if (count < 0) return std::nullopt;
  return drawn(stream.state, count * (dtype == "float64" ? 2 : 1), [&](const StreamKey& key, uint64_t counter) {
    return random_uniform(shape, key, counter, low, high, dtype, "cpu");
  });
}

Answer draw_normal(Stream stream, const Sizes& shape, double mean, double stddev, const std::string& dtype) {
  const int64_t count = count_of(shape);
  if (count < 0) return std::nullopt;
  return drawn(stream.state, count * (dtype == "float64" ? 2 : 1), [&](const StreamKey& key, uint64_t counter) {
    return random_normal(shape, key, counter, mean, stddev, false, dtype, "cpu");
  });
}

Answer draw_permutation(Stream stream, int64_t n) {
  if (count_of({n}) < 0) return std::nullopt;
  return drawn(stream.state, 2 * n,
               [&](const StreamKey& key, uint64_t counter) { return random_permutation(n, key, counter, "cpu"); });
}

// --- the state of a generator ---------------------------------------------------------------------------------

// (key, counter) of the next `words` words of the stream, which nobody else will draw. While a step is recorded the
// key is a Draw, which each replay fills anew.
py::tuple reserve(const std::shared_ptr<RandomState>& state, uint64_t words) {
  if (Recording::current() == nullptr) {
    const PhiloxStream stream = state->reserve(words);
    return py::make_tuple(stream.key, stream.counter);
  }
  auto draw = std::make_shared<Draw>();
  run("random stream", [state, words, draw] { draw->stream = state->reserve(words); });
  return py::make_tuple(draw, 0);
}

std::array<uint32_t, 4> philox4x32_block(const std::array<uint32_t, 4>& counter, const std::array<uint32_t, 2>& key) {
  std::array<uint32_t, 4> out;
  philox4x32(counter.data(), key.data(), out.data());
  return out;
}

}  // namespace

namespace direct {

template <>
struct ReaderOf<Stream> : StreamOfGenerator {};

}  // namespace direct

void bind_random(py::module_& m) {
  const py::class_<Draw, std::shared_ptr<Draw>> draw(
      m, "_Draw", "A place in a stream that changes when a recorded step runs again.");
  py::class_<RandomState, std::shared_ptr<RandomState>>(m, "_RandomState", "Key and counter of a generator.")
      .def(py::init<uint64_t, uint64_t>(), "key"_a, "counter"_a)
      .def("get", [](const RandomState& s) { return std::make_pair(s.key.load(), s.counter.load()); })
      .def(
          "set",
          [](RandomState& s, uint64_t key, uint64_t counter) {
            s.key = key;
            s.counter = counter;
          },
          "key"_a, "counter"_a)
      .def("reserve", &reserve, "words"_a);
  state_type = reinterpret_cast<PyTypeObject*>(py::type::of<RandomState>().ptr());
  add_direct("random_uniform", &draw_uniform);
  add_direct("random_normal", &draw_normal);
  add_direct("random_permutation", &draw_permutation);
  m.def("_philox4x32", &philox4x32_block, "counter"_a, "key"_a);
  m.def("random_uniform", &random_uniform, "shape"_a, "key"_a, "counter"_a, "low"_a = 0.0, "high"_a = 1.0,
        "dtype"_a = "float32", "device"_a = "cpu", releases_gil());
  m.def("random_normal", &random_normal, "shape"_a, "key"_a, "counter"_a, "mean"_a = 0.0, "stddev"_a = 1.0,
        "truncated"_a = false, "dtype"_a = "float32", "device"_a = "cpu", releases_gil());
  m.def("random_bits", &random_bits, "shape"_a, "key"_a, "counter"_a, "device"_a = "cpu", releases_gil());
  m.def("random_bernoulli", &random_bernoulli, "shape"_a, "key"_a, "counter"_a, "probability"_a = 0.5,
        "device"_a = "cpu", releases_gil());
  m.def("random_integers", &random_integers, "shape"_a, "key"_a, "counter"_a, "low"_a, "high"_a, "device"_a = "cpu",
        releases_gil());
  m.def("random_permutation", &random_permutation, "n"_a, "key"_a, "counter"_a, "device"_a = "cpu", releases_gil());
  m.def("dropout_forward", &dropout_forward, "x"_a, "rate"_a, "key"_a, "counter"_a, releases_gil());
}

}  // namespace ranvier
