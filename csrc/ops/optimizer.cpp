#include "ops/optimizer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/arguments.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

using Arrays = std::vector<Array>;

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
};

struct Clipping {
  std::optional<double> norm, value, global_norm;
};

// What all steps are told.
struct Common {
  Scalar learning_rate;
  double weight_decay;
  Clipping clipping;
};

// --- checks -------------------------------------------------------------------------------------------------

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

Common common(const char* op, Scalar learning_rate, std::optional<double> weight_decay, const Clipping& clipping) {
  if (!std::isfinite(learning_rate.now())) {
    throw ValueError(message(op, ": learning_rate must be finite but is ", learning_rate.now()));
  }
  if (weight_decay) check_not_negative(op, "weight_decay", *weight_decay);
  if (clipping.norm.has_value() + clipping.value.has_value() + clipping.global_norm.has_value() > 1) {
    throw ValueError(message(op, ": only one of clipnorm, clipvalue and global_clipnorm may be given"));
  }
  if (clipping.norm) check_not_negative(op, "clipnorm", *clipping.norm);
  if (clipping.value) check_not_negative(op, "clipvalue", *clipping.value);
  if (clipping.global_norm) check_not_negative(op, "global_clipnorm", *clipping.global_norm);
  return {std::move(learning_rate), weight_decay.value_or(0), clipping};
}

// --- chunks and clipping --------------------------------------------------------------------------------------

// Checked to be writable; a list of arrays stands for the tensors, not for their values.
template <typename T>
T* writable(const Array& array) {
  return const_cast<T*>(array.data<T>());
}

template <typename T>
std::vector<StepChunk<T>> chunks_of(const Lists& lists) {
  std::vector<StepChunk<T>> chunks;
  chunks.reserve(lists.parameters.arrays.size());
  for (std::size_t i = 0; i < lists.parameters.arrays.size(); ++i) {
    const Array& parameter = lists.parameters.arrays[i];
    for (int64_t at = 0; at < parameter.size(); at += kStepChunk) {
      StepChunk<T> chunk{writable<T>(parameter) + at,
                         lists.gradients.arrays[i].data<T>() + at,
                         {},
                         std::min(kStepChunk, parameter.size() - at),
                         1.0};
      for (std::size_t s = 0; s < lists.slots.size(); ++s) {
        chunk.slots[s] = writable<T>(lists.slots[s].arrays[i]) + at;
      }
      chunks.push_back(chunk);
    }
  }
  return chunks;
}

template <typename T>
StepChunks<T> view_of(const std::vector<StepChunk<T>>& chunks) {
  int64_t elements = 1;
  for (const StepChunk<T>& chunk : chunks) elements += chunk.size;
  const int64_t count = static_cast<int64_t>(chunks.size());
  return {chunks.data(), count, std::max<int64_t>(1, kStepChunk * count / elements)};  // small tensors travel together
}

// limit / max(norm, limit); NaN for a norm of NaN, so that no step hides one.
double scale_for(double sum_of_squares, double limit) {
  const double norm = std::sqrt(sum_of_squares);
  return norm <= limit ? 1.0 : limit / norm;
}

// The sums run over the chunks in order, whatever the threads did.
template <typename T>
void clip_by_norm(const Lists& lists, const Clipping& clipping, const std::vector<double>& sums,
                  std::vector<StepChunk<T>>& chunks) {
  double all = 0;
  for (double sum : sums) all += sum;
  std::size_t at = 0;
  for (const Array& parameter : lists.parameters.arrays) {
    const std::size_t end = at + (parameter.size() + kStepChunk - 1) / kStepChunk;
    double own = 0;
    for (std::size_t c = at; c < end; ++c) own += sums[c];
    const double scale = clipping.norm        ? scale_for(own, *clipping.norm)
                         : std::isfinite(all) ? scale_for(all, *clipping.global_norm)
                                              : std::numeric_limits<double>::quiet_NaN();
    for (; at < end; ++at) chunks[at].gradient_scale = scale;
  }
}

// Checks, chunks, clips, and calls kernel(kernels, chunks, options) on the device's kernels.
template <typename Kernel>
void step(Lists lists, Common options, Kernel kernel) {
  check_lists(lists);
  for (const Array& parameter : lists.parameters.arrays) parameter.bump_version();
  for (const NamedList& slot : lists.slots) {
    for (const Array& array : slot.arrays) array.bump_version();
  }
  if (lists.parameters.arrays.empty()) return;
  const char* op = lists.op;
  const Array first = lists.parameters.arrays.front();
  dispatch(op, first,
           [lists = std::move(lists), options = std::move(options), kernel](const KernelTable& kernels, auto type) {
             using T = decltype(type);
             const OptimizerKernels<T>& optimizer = kernels.optimizer.template get<T>();
             std::vector<StepChunk<T>> chunks = chunks_of<T>(lists);
             const Clipping& clipping = options.clipping;
             if (clipping.norm || clipping.global_norm) {
               std::vector<double> sums(chunks.size());
               optimizer.sums_of_squares(view_of(chunks), sums.data());
               clip_by_norm(lists, clipping, sums, chunks);
             }
             const double infinity = std::numeric_limits<double>::infinity();
             kernel(optimizer, view_of(chunks),
                    StepOptions{options.learning_rate.now(), options.weight_decay, clipping.value.value_or(infinity)});
           });
}

// --- the ops --------------------------------------------------------------------------------------------------

using Option = std::optional<double>;
using OptionalArrays = std::optional<Arrays>;

void sgd_step(Arrays parameters, Arrays gradients, OptionalArrays velocities, const Scalar& learning_rate,
              double momentum, bool nesterov, Option weight_decay, Option clipnorm, Option clipvalue,
              Option global_clipnorm) {
  const char* op = "sgd_step";
  Lists lists{op, {"parameters", std::move(parameters)}, {"gradients", std::move(gradients)}, {}};
  const bool with_velocities = velocities.has_value();
  check_between(op, "momentum", momentum, 0, 1);
  if (with_velocities) lists.slots.push_back({"velocities", std::move(*velocities)});
  if (!with_velocities && momentum != 0)
    throw ValueError("sgd_step: momentum needs velocities, one array per parameter");
  step(std::move(lists), common(op, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         kernels.sgd(chunks, options, {momentum, nesterov}, with_velocities);
       });
}

void adagrad_step(Arrays parameters, Arrays gradients, Arrays accumulators, const Scalar& learning_rate, double epsilon,
                  Option weight_decay, Option clipnorm, Option clipvalue, Option global_clipnorm) {
  const char* op = "adagrad_step";
  Lists lists{op, {"parameters", std::move(parameters)}, {"gradients", std::move(gradients)}, {}};
  lists.slots.push_back({"accumulators", std::move(accumulators)});
  check_not_negative(op, "epsilon", epsilon);
  step(
      std::move(lists), common(op, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm}),
      [=](const auto& kernels, auto chunks, const StepOptions& options) { kernels.adagrad(chunks, options, epsilon); });
}

void adadelta_step(Arrays parameters, Arrays gradients, Arrays accumulated_gradients, Arrays accumulated_deltas,
                   const Scalar& learning_rate, double rho, double epsilon, Option weight_decay, Option clipnorm,
                   Option clipvalue, Option global_clipnorm) {
  const char* op = "adadelta_step";
  Lists lists{op, {"parameters", std::move(parameters)}, {"gradients", std::move(gradients)}, {}};
  lists.slots.push_back({"accumulated_gradients", std::move(accumulated_gradients)});
  lists.slots.push_back({"accumulated_deltas", std::move(accumulated_deltas)});
  check_between(op, "rho", rho, 0, 1);
  check_not_negative(op, "epsilon", epsilon);
  step(std::move(lists), common(op, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         kernels.adadelta(chunks, options, rho, epsilon);
       });
}

void rmsprop_step(Arrays parameters, Arrays gradients, Arrays velocities, OptionalArrays momentums,
                  OptionalArrays average_gradients, const Scalar& learning_rate, double rho, double momentum,
                  double epsilon, Option weight_decay, Option clipnorm, Option clipvalue, Option global_clipnorm) {
  const char* op = "rmsprop_step";
  const bool with_momentums = momentums.has_value(), centred = average_gradients.has_value();
  Lists lists{op, {"parameters", std::move(parameters)}, {"gradients", std::move(gradients)}, {}};
  lists.slots.push_back({"velocities", std::move(velocities)});
  check_between(op, "rho", rho, 0, 1);
  check_between(op, "momentum", momentum, 0, 1);
  check_not_negative(op, "epsilon", epsilon);
  if (!with_momentums && momentum != 0)
    throw ValueError("rmsprop_step: momentum needs momentums, one array per parameter");
  if (with_momentums) lists.slots.push_back({"momentums", std::move(*momentums)});
  if (centred) lists.slots.push_back({"average_gradients", std::move(*average_gradients)});
  step(std::move(lists), common(op, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         kernels.rmsprop(chunks, options, {rho, momentum, epsilon}, with_momentums, centred);
       });
}

void adam_step(Arrays parameters, Arrays gradients, Arrays momentums, Arrays velocities, OptionalArrays max_velocities,
               const Scalar& learning_rate, const Scalar& iteration, double beta_1, double beta_2, double epsilon,
               Option weight_decay, Option clipnorm, Option clipvalue, Option global_clipnorm) {
  const char* op = "adam_step";
  const bool amsgrad = max_velocities.has_value();
  Lists lists{op, {"parameters", std::move(parameters)}, {"gradients", std::move(gradients)}, {}};
  lists.slots.push_back({"momentums", std::move(momentums)});
  lists.slots.push_back({"velocities", std::move(velocities)});
  check_positive(op, "iteration (counted from 1)", static_cast<int64_t>(iteration.now()));
  check_between(op, "beta_1", beta_1, 0, std::nextafter(1.0, 0.0));
  check_between(op, "beta_2", beta_2, 0, std::nextafter(1.0, 0.0));
  check_not_negative(op, "epsilon", epsilon);
  if (amsgrad) lists.slots.push_back({"max_velocities", std::move(*max_velocities)});
  step(std::move(lists), common(op, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         const double t = iteration.now();
         const double correction = std::sqrt(1 - std::pow(beta_2, t)) / (1 - std::pow(beta_1, t));
         kernels.adam(chunks, options, {beta_1, beta_2, epsilon, correction}, amsgrad);
       });
}

}  // namespace

void bind_optimizer(py::module_& m) {
  const py::arg_v decay = ("weight_decay"_a = py::none()), norm = ("clipnorm"_a = py::none()),
                  value = ("clipvalue"_a = py::none()), global = ("global_clipnorm"_a = py::none());
  m.def("sgd_step", &sgd_step, "parameters"_a, "gradients"_a, "velocities"_a = py::none(), py::kw_only(),
        "learning_rate"_a, "momentum"_a = 0.0, "nesterov"_a = false, decay, norm, value, global, releases_gil());
  m.def("adagrad_step", &adagrad_step, "parameters"_a, "gradients"_a, "accumulators"_a, py::kw_only(),
        "learning_rate"_a, "epsilon"_a = 1e-7, decay, norm, value, global, releases_gil());
  m.def("adadelta_step", &adadelta_step, "parameters"_a, "gradients"_a, "accumulated_gradients"_a,
        "accumulated_deltas"_a, py::kw_only(), "learning_rate"_a, "rho"_a = 0.95, "epsilon"_a = 1e-7, decay, norm,
        value, global, releases_gil());
  m.def("rmsprop_step", &rmsprop_step, "parameters"_a, "gradients"_a, "velocities"_a, "momentums"_a = py::none(),
        "average_gradients"_a = py::none(), py::kw_only(), "learning_rate"_a, "rho"_a = 0.9, "momentum"_a = 0.0,
        "epsilon"_a = 1e-7, decay, norm, value, global, releases_gil());
  m.def("adam_step", &adam_step, "parameters"_a, "gradients"_a, "momentums"_a, "velocities"_a,
        "max_velocities"_a = py::none(), py::kw_only(), "learning_rate"_a, "iteration"_a, "beta_1"_a = 0.9,
        "beta_2"_a = 0.999, "epsilon"_a = 1e-7, decay, norm, value, global, releases_gil());
}

}  // namespace ranvier
