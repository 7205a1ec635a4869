// Arrays from nothing: one value everywhere, and the direct ways (tape/direct.h) of zeros, ones, full and arange.
#include <cmath>
#include <cstring>
#include <limits>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/binding.h"
#include "ops/shape.h"
#include "tape/direct.h"

namespace ranvier {
namespace {

template <typename T>
Element bytes_of(T value) {
  Element element{};
  std::memcpy(element.bytes, &value, sizeof(value));
  return element;
}

}  // namespace

// 16-bit floats: zero and one.
Element element_of(DType dtype, double value) {
  switch (dtype) {
    case DType::Float32: return bytes_of(static_cast<float>(value));
    case DType::Float64: return bytes_of(value);
    case DType::Float16: return bytes_of(uint16_t(value == 0 ? 0 : 0x3c00));
    case DType::BFloat16: return bytes_of(uint16_t(value == 0 ? 0 : 0x3f80));
    case DType::Int32: return bytes_of(static_cast<int32_t>(value));
    case DType::Int64: return bytes_of(static_cast<int64_t>(value));
    default: return bytes_of(static_cast<uint8_t>(value));
  }
}

Array filled(const Shape& shape, DType dtype, Element value) {
  Array y = Array::empty(shape, dtype);
  if (y.size() == 0) return y;
  dispatch_untyped("full", y, [value, y = y.lent()](const KernelTable& kernels) mutable {
    CopyPlan plan;  // NOLINT(cppcoreguidelines-pro-type-member-init): as in shape.cpp
    plan.rank = 2;
    plan.shape[0] = 1;
    plan.shape[1] = y.size();
    plan.from[0] = plan.to[0] = plan.from[1] = 0;
    plan.to[1] = 1;
    kernels.shape.copy(value.bytes, y.raw(), plan, static_cast<int64_t>(dtype_size(y.dtype())));
  });
  return y;
}

// --- direct -------------------------------------------------------------------------------------------

namespace {

using Answer = std::optional<Array>;
using Name = std::optional<std::string>;  // of a dtype or a device; none where it is not said

bool on_cpu(const Name& device) { return device ? *device == "cpu" : default_device().kind == DeviceKind::Cpu; }

bool sides_are_plain(const Sizes& shape) {
  int64_t count = 1;
  for (const int64_t side : shape) {
    if (side < 0 || __builtin_mul_overflow(count, side, &count)) return false;
  }
  return count < (int64_t{1} << 40);
}

Answer zeros(const Sizes& shape, const std::string& dtype, const Name& device) {
  if (!on_cpu(device) || !sides_are_plain(shape)) return std::nullopt;
  return Array::zeros(shape, dtype_argument(dtype));
}

// Whole numbers that every dtype holds exactly are plain, and any number where the array is of floats.
bool is_plain(const direct::Constant& value, DType dtype) {
  const bool fits = dtype == DType::Float64 || !std::isfinite(value.number) ||
                    std::fabs(value.number) <= std::numeric_limits<float>::max();
  if (dtype == DType::Float32 || dtype == DType::Float64) return fits;
  return (dtype == DType::Int32 || dtype == DType::Int64) && value.integer &&
         std::abs(*value.integer) <= std::numeric_limits<int32_t>::max();
}

Answer full(const Sizes& shape, const direct::Constant& value, const Name& dtype, const Name& device) {
  if (!on_cpu(device) || !sides_are_plain(shape)) return std::nullopt;
  const DType type = dtype ? dtype_argument(*dtype) : value.integer ? DType::Int32 : DType::Float32;
  if (!is_plain(value, type)) return std::nullopt;
  return filled(shape, type, element_of(type, value.number));
}

Answer ones(const Sizes& shape, const std::string& dtype, const Name& device) {
  if (!on_cpu(device) || !sides_are_plain(shape)) return std::nullopt;
  const DType type = dtype_argument(dtype);
  return filled(shape, type, element_of(type, 1));
}

DType dtype_like(const Array& x, const Name& dtype) { return dtype ? dtype_argument(*dtype) : x.dtype(); }

Answer zeros_like(direct::Moved x, const Name& dtype) {
  return Array::zeros(x.array.shape(), dtype_like(x.array, dtype));
}

Answer ones_like(direct::Moved x, const Name& dtype) {
  const DType type = dtype_like(x.array, dtype);
  return filled(x.array.shape(), type, element_of(type, 1));
}

template <typename T>
void count_up(Array y, int64_t begin, int64_t step) {
  run("arange", [y, begin, step]() mutable {
    T* values = y.data<T>();
    for (int64_t i = 0; i < y.size(); ++i) values[i] = static_cast<T>(begin + i * step);
  });
}

// Of whole numbers that fit int32.
Answer arange(const direct::Constant& start, std::optional<double> stop, const direct::Constant& step,
              const Name& dtype, const Name& device) {
  const DType type = dtype ? dtype_argument(*dtype) : DType::Int32;
  if (!on_cpu(device) || !start.integer || !step.integer || *step.integer == 0) return std::nullopt;
  if (type != DType::Int32 && type != DType::Int64) return std::nullopt;
  const double first = stop ? start.number : 0, last = stop.value_or(start.number);
  constexpr double most = std::numeric_limits<int32_t>::max();
  if (std::fabs(first) > most || std::fabs(last) > most || std::fabs(step.number) > most) return std::nullopt;
  const double count = std::ceil((last - first) / step.number);
  Array y = Array::empty({count > 0 ? static_cast<int64_t>(count) : 0}, type);
  (type == DType::Int32 ? count_up<int32_t> : count_up<int64_t>)(y, static_cast<int64_t>(first), *step.integer);
  return y;
}

}  // namespace

void add_direct_creation() {
  add_direct("zeros", &zeros);
  add_direct("ones", &ones);
  add_direct("full", &full);
  add_direct("zeros_like", &zeros_like);
  add_direct("ones_like", &ones_like);
  add_direct("arange", &arange);
}

}  // namespace ranvier
