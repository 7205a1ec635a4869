#include "ops/optimizer/lists.h"

#include <algorithm>
#include <cmath>

#include "core/checks.h"

namespace ranvier {
namespace {

std::string element(const NamedList& list, std::size_t i) { return message(list.name, "[", i, "]"); }

// Throws for an array that does not fit its parameter. Names are made only then: a step has hundreds of arrays.
void check_element(const Lists& lists, const NamedList& list, std::size_t i, bool written) {
  const Array &parameter = lists.parameters.arrays[i], &array = list.arrays[i];
  const bool alike = array.device() == parameter.device() && array.dtype() == parameter.dtype();
  if (alike && array.shape() == parameter.shape() && !(written && array.readonly())) return;
  const std::string parameter_name = element(lists.parameters, i), name = element(list, i);
  check_alike(lists.op, {{parameter_name.c_str(), parameter}, {name.c_str(), array}});
  check_shape(lists.op, name.c_str(), array, parameter.shape());
  if (written) check_writable(lists.op, name.c_str(), array);
}

void check_list(const Lists& lists, const NamedList& list, bool written) {
  const std::size_t count = lists.parameters.arrays.size();
  if (list.arrays.size() != count) {
    throw ValueError(message(lists.op, ": ", list.arrays.size(), " ", list.name, " for ", count, " parameters"));
  }
  for (std::size_t i = 0; i < count; ++i) check_element(lists, list, i, written);
}

void check_parameters(const Lists& lists) {
  const Arrays& parameters = lists.parameters.arrays;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Array &first = parameters[0], &own = parameters[i];
    const bool floating = own.dtype() == DType::Float32 || own.dtype() == DType::Float64;
    if (floating && own.dtype() == first.dtype() && own.device() == first.device() && !own.readonly()) continue;
    const std::string first_name = element(lists.parameters, 0), name = element(lists.parameters, i);
    check_floating(lists.op, name.c_str(), own);
    check_alike(lists.op, {{first_name.c_str(), first}, {name.c_str(), own}});
    check_writable(lists.op, name.c_str(), own);
  }
}

// A stretch of memory that a step touches, for the check that none is written twice or read where another writes.
struct Stretch {
  const char* begin;
  const char* end;
  const NamedList* list;
  std::size_t index;
  bool written;
};

void add_stretches(std::vector<Stretch>& all, const NamedList& list, bool written) {
  for (std::size_t i = 0; i < list.arrays.size(); ++i) {
    const Array& array = list.arrays[i];
    const char* begin = static_cast<const char*>(array.raw());
    if (array.size() > 0) all.push_back({begin, begin + array.bytes(), &list, i, written});
  }
}

void check_apart(const Lists& lists) {
  std::vector<Stretch> all;
  all.reserve(lists.parameters.arrays.size() * (2 + lists.slots.size()));
  add_stretches(all, lists.parameters, true);
  add_stretches(all, lists.gradients, false);
  for (const NamedList& slot : lists.slots) add_stretches(all, slot, true);
  std::sort(all.begin(), all.end(), [](const Stretch& a, const Stretch& b) { return a.begin < b.begin; });
  const Stretch *last = nullptr, *last_written = nullptr;  // of those before, the ones that reach farthest
  for (const Stretch& next : all) {
    const Stretch* other = next.written ? last : last_written;
    if (other != nullptr && next.begin < other->end) {
      throw ValueError(message(lists.op, ": ", element(*next.list, next.index), " shares memory with ",
                               element(*other->list, other->index), "; each array may be given once"));
    }
    if (last == nullptr || next.end > last->end) last = &next;
    if (next.written && (last_written == nullptr || next.end > last_written->end)) last_written = &next;
  }
}

std::vector<double> decays_of(const Lists& lists, const Decay& weight_decay) {
  if (!weight_decay) return {};
  const std::size_t count = lists.parameters.arrays.size();
  const auto* each = std::get_if<std::vector<double>>(&*weight_decay);
  const auto decays = each != nullptr ? *each : std::vector<double>(count, std::get<double>(*weight_decay));
  if (decays.size() != count) {
    throw ValueError(message(lists.op, ": ", decays.size(), " weight decays for ", count, " parameters"));
  }
  for (const double decay : decays) check_not_negative(lists.op, "weight_decay", decay);
  return decays;
}

}  // namespace

void check_lists(const Lists& lists) {
  check_parameters(lists);
  check_list(lists, lists.gradients, false);
  for (const NamedList& slot : lists.slots) check_list(lists, slot, true);
  check_apart(lists);
}

void check_between(const char* op, const char* name, double value, double low, double high) {
  if (value >= low && value <= high) return;
  throw ValueError(message(op, ": ", name, " must be between ", low, " and ", high, " but is ", value));
}

void check_not_negative(const char* op, const char* name, double value) {
  if (value >= 0 && std::isfinite(value)) return;
  throw ValueError(message(op, ": ", name, " must be finite and not negative but is ", value));
}

Common common(const Lists& lists, const Scalar& learning_rate, const Decay& weight_decay, const Clipping& clipping) {
  const char* op = lists.op;
  if (!std::isfinite(learning_rate.now())) {
    throw ValueError(message(op, ": learning_rate must be finite but is ", learning_rate.now()));
  }
  if (clipping.norm.has_value() + clipping.value.has_value() + clipping.global_norm.has_value() > 1) {
    throw ValueError(message(op, ": only one of clipnorm, clipvalue and global_clipnorm may be given"));
  }
  if (const auto& scale = clipping.gradient_scale) {
    check_dtype(op, "gradient_scale", *scale, DType::Float64);
    check_shape(op, "gradient_scale", *scale, {});
    const Arrays& parameters = lists.parameters.arrays;
    if (!parameters.empty()) check_same_device(op, {{"parameters[0]", parameters[0]}, {"gradient_scale", *scale}});
  }
  if (clipping.norm) check_not_negative(op, "clipnorm", *clipping.norm);
  if (clipping.value) check_not_negative(op, "clipvalue", *clipping.value);
  if (clipping.global_norm) check_not_negative(op, "global_clipnorm", *clipping.global_norm);
  return {learning_rate, decays_of(lists, weight_decay), clipping};
}

}  // namespace ranvier
