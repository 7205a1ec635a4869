// Arguments that a recorded step reads anew each time it runs: a learning rate, an iteration, a place in a random
// stream. Eager calls pass plain numbers.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "core/device_memory.h"
#include "core/error.h"
#include "core/live.h"
#include "core/philox.h"
#include "ops/binding.h"

namespace ranvier {

// A generator's key and counter. Threads may draw from one generator.
struct RandomState {
  std::atomic<uint64_t> key, counter;

  RandomState(uint64_t k, uint64_t c) : key(k), counter(c) {}
  PhiloxStream reserve(uint64_t words) { return {key, counter.fetch_add(words / 4 + (words % 4 != 0))}; }
};

// What a recorded step drew this time.
struct Draw {
  PhiloxStream stream{0, 0};
};

// The key of a stream: a number, or a Draw.
struct StreamKey {
  uint64_t key = 0;
  std::shared_ptr<Draw> draw;

  PhiloxStream at(uint64_t counter) const {
    if (draw) note_live();
    return draw ? PhiloxStream{draw->stream.key, draw->stream.counter + counter} : PhiloxStream{key, counter};
  }
};

// A number, or an array of one element (float64 or int64, best on the host) that holds it when the kernel runs.
struct Scalar {
  double value = 0;
  std::optional<Array> live;

  double now() const {
    if (!live) return value;
    const HostValues now(*live);
    return live->dtype() == DType::Int64 ? static_cast<double>(*now.data<int64_t>()) : *now.data<double>();
  }
};

}  // namespace ranvier

namespace pybind11::detail {

template <>
struct type_caster<ranvier::StreamKey> {
  PYBIND11_TYPE_CASTER(ranvier::StreamKey, const_name("int | _Draw"));

  bool load(handle source, bool convert) {
    if (isinstance<ranvier::Draw>(source)) {
      value.draw = source.cast<std::shared_ptr<ranvier::Draw>>();
      return true;
    }
    make_caster<uint64_t> number;
    if (!number.load(source, convert)) return false;
    value.key = cast_op<uint64_t>(number);
    return true;
  }
};

template <>
struct type_caster<ranvier::Scalar> {
  PYBIND11_TYPE_CASTER(ranvier::Scalar, const_name("float | Array"));

  bool load(handle source, bool convert) {
    if (isinstance<ranvier::Array>(source)) {
      const auto& array = source.cast<const ranvier::Array&>();
      const bool number = array.dtype() == ranvier::DType::Float64 || array.dtype() == ranvier::DType::Int64;
      if (!number || array.size() != 1) return false;
      value.live = array;
      return true;
    }
    make_caster<double> number;
    if (!number.load(source, convert)) return false;
    value.value = cast_op<double>(number);
    return true;
  }
};

}  // namespace pybind11::detail
