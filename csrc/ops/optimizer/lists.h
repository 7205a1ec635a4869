// The lists of arrays that an optimizer step is called with, and the checks that all steps share.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/array.h"
#include "ops/arguments.h"

namespace ranvier {

using Arrays = std::vector<Array>;
using OptionalArray = std::optional<Array>;
using OptionalArrays = std::optional<Arrays>;
using Option = std::optional<double>;
using Decay = std::optional<std::variant<double, std::vector<double>>>;  // for all parameters, or one for each

// One list of arrays that belongs to the parameters, by name: gradients, velocities, ...
struct NamedList {
  const char* name;
  Arrays arrays;
};

// Everything that a step reads and writes.
struct Lists {
  const char* op;
  NamedList parameters;
  NamedList gradients;
  std::vector<NamedList> slots;

  Lists(const char* name, Arrays params, Arrays grads)
      : op(name), parameters{"parameters", std::move(params)}, gradients{"gradients", std::move(grads)} {}

  Lists& with(const char* name, Arrays arrays) {
    slots.push_back({name, std::move(arrays)});
    return *this;
  }
};

struct Clipping {
  Option norm, value, global_norm;
  std::optional<Array> gradient_scale;  // float64, one number, on the parameters' device
};

// What all steps are told.
struct Common {
  Scalar learning_rate;
  std::vector<double> weight_decays;  // one per parameter, or none
  Clipping clipping;
};

// Devices, dtypes and shapes; that nothing is read-only or given twice.
void check_lists(const Lists& lists);
void check_between(const char* op, const char* name, double value, double low, double high);
void check_not_negative(const char* op, const char* name, double value);

// The options that all steps share, checked.
Common common(const Lists& lists, const Scalar& learning_rate, const Decay& weight_decay, const Clipping& clipping);

}  // namespace ranvier
