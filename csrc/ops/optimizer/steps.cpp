#include <cmath>

#include "core/checks.h"
#include "core/device_memory.h"
#include "ops/binding.h"
#include "ops/optimizer/step.h"

namespace ranvier {
namespace {

// --- the ops --------------------------------------------------------------------------------------------------

void sgd_step(Arrays parameters, Arrays gradients, OptionalArrays velocities, const Scalar& learning_rate,
              double momentum, bool nesterov, const Decay& weight_decay, Option clipnorm, Option clipvalue,
              Option global_clipnorm, const OptionalArray& gradient_scale) {
  const char* op = "sgd_step";
  Lists lists(op, std::move(parameters), std::move(gradients));
  const bool with_velocities = velocities.has_value();
  check_between(op, "momentum", momentum, 0, 1);
  if (with_velocities) lists.with("velocities", std::move(*velocities));
  if (!with_velocities && momentum != 0)
    throw ValueError("sgd_step: momentum needs velocities, one array per parameter");
  step(lists, common(lists, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm, gradient_scale}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         kernels.sgd(chunks, options, {momentum, nesterov}, with_velocities);
       });
}

void adagrad_step(Arrays parameters, Arrays gradients, Arrays accumulators, const Scalar& learning_rate, double epsilon,
                  const Decay& weight_decay, Option clipnorm, Option clipvalue, Option global_clipnorm,
                  const OptionalArray& gradient_scale) {
  const char* op = "adagrad_step";
  Lists lists(op, std::move(parameters), std::move(gradients));
  lists.with("accumulators", std::move(accumulators));
  check_not_negative(op, "epsilon", epsilon);
  step(
      lists, common(lists, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm, gradient_scale}),
      [=](const auto& kernels, auto chunks, const StepOptions& options) { kernels.adagrad(chunks, options, epsilon); });
}

void adadelta_step(Arrays parameters, Arrays gradients, Arrays accumulated_gradients, Arrays accumulated_deltas,
                   const Scalar& learning_rate, double rho, double epsilon, const Decay& weight_decay, Option clipnorm,
                   Option clipvalue, Option global_clipnorm, const OptionalArray& gradient_scale) {
  const char* op = "adadelta_step";
  Lists lists(op, std::move(parameters), std::move(gradients));
  lists.with("accumulated_gradients", std::move(accumulated_gradients));
  lists.with("accumulated_deltas", std::move(accumulated_deltas));
  check_between(op, "rho", rho, 0, 1);
  check_not_negative(op, "epsilon", epsilon);
  step(lists, common(lists, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm, gradient_scale}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         kernels.adadelta(chunks, options, rho, epsilon);
       });
}

void rmsprop_step(Arrays parameters, Arrays gradients, Arrays velocities, OptionalArrays momentums,
                  OptionalArrays average_gradients, const Scalar& learning_rate, double rho, double momentum,
                  double epsilon, const Decay& weight_decay, Option clipnorm, Option clipvalue, Option global_clipnorm,
                  const OptionalArray& gradient_scale) {
  const char* op = "rmsprop_step";
  const bool with_momentums = momentums.has_value(), centred = average_gradients.has_value();
  Lists lists(op, std::move(parameters), std::move(gradients));
  lists.with("velocities", std::move(velocities));
  check_between(op, "rho", rho, 0, 1);
  check_between(op, "momentum", momentum, 0, 1);
  check_not_negative(op, "epsilon", epsilon);
  if (!with_momentums && momentum != 0)
    throw ValueError("rmsprop_step: momentum needs momentums, one array per parameter");
  if (with_momentums) lists.with("momentums", std::move(*momentums));
  if (centred) lists.with("average_gradients", std::move(*average_gradients));
  step(lists, common(lists, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm, gradient_scale}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         kernels.rmsprop(chunks, options, {rho, momentum, epsilon}, with_momentums, centred);
       });
}

// An iteration that the host would have to wait for: it is where only the device knows which steps were taken.
bool on_device(const Scalar& iteration) {
  return iteration.live && iteration.live->dtype() == DType::Int64 && !on_host(iteration.live->device());
}

// Adam's options for an iteration that is known, or the place where the device finds it; factors(t, options) sets those
// of m, s and g in the update.
template <typename Factors>
AdamOptions adam_options(AdamOptions options, const Scalar& iteration, Factors factors) {
  if (on_device(iteration)) {
    options.iteration = iteration.live->data<int64_t>();
  } else {
    factors(iteration.now(), options);
  }
  return options;
}

// The arguments that Adam's kin share, checked.
void check_adam(const char* op, const Scalar& iteration, const OptionalArray& gradient_scale, double beta_1,
                double beta_2, double epsilon) {
  const bool may_be_none = gradient_scale && !on_device(iteration) && iteration.now() == 0;  // and is left out
  if (!on_device(iteration) && !may_be_none) {
    check_positive(op, "iteration (counted from 1)", static_cast<int64_t>(iteration.now()));
  }
  check_between(op, "beta_1", beta_1, 0, std::nextafter(1.0, 0.0));
  check_between(op, "beta_2", beta_2, 0, std::nextafter(1.0, 0.0));
  check_not_negative(op, "epsilon", epsilon);
}

void adam_step(Arrays parameters, Arrays gradients, Arrays momentums, Arrays velocities, OptionalArrays max_velocities,
               const Scalar& learning_rate, const Scalar& iteration, double beta_1, double beta_2, double epsilon,
               const Decay& weight_decay, Option clipnorm, Option clipvalue, Option global_clipnorm,
               const OptionalArray& gradient_scale) {
  const char* op = "adam_step";
  const bool amsgrad = max_velocities.has_value();
  Lists lists(op, std::move(parameters), std::move(gradients));
  lists.with("momentums", std::move(momentums));
  lists.with("velocities", std::move(velocities));
  check_adam(op, iteration, gradient_scale, beta_1, beta_2, epsilon);
  if (amsgrad) lists.with("max_velocities", std::move(*max_velocities));
  step(lists, common(lists, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm, gradient_scale}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         const AdamOptions given{beta_1, beta_2, epsilon};
         kernels.adam(chunks, options,
                      adam_options(given, iteration,
                                   [](double t, AdamOptions& o) {
                                     o.m_factor = std::sqrt(1 - std::pow(o.beta_2, t)) / (1 - std::pow(o.beta_1, t));
                                   }),
                      amsgrad);
       });
}

// Nadam's weights of the momentum, u_i = b1 (1 - 0.96^i / 2), and their product up to t; it is soon too small to count.
double nadam_weight(double beta_1, double i) { return beta_1 * (1 - 0.5 * std::pow(0.96, i)); }

double nadam_product(double beta_1, double t) {
  double product = 1;
  for (int64_t i = 1; static_cast<double>(i) <= t && product > 1e-18; ++i) {
    product *= nadam_weight(beta_1, static_cast<double>(i));
  }
  return product;
}

void nadam_step(Arrays parameters, Arrays gradients, Arrays momentums, Arrays velocities, const Scalar& learning_rate,
                const Scalar& iteration, double beta_1, double beta_2, double epsilon, const Decay& weight_decay,
                Option clipnorm, Option clipvalue, Option global_clipnorm, const OptionalArray& gradient_scale) {
  Lists lists("nadam_step", std::move(parameters), std::move(gradients));
  lists.with("momentums", std::move(momentums)).with("velocities", std::move(velocities));
  check_adam(lists.op, iteration, gradient_scale, beta_1, beta_2, epsilon);
  step(lists, common(lists, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm, gradient_scale}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         const AdamOptions given{beta_1, beta_2, epsilon};
         kernels.nadam(chunks, options, adam_options(given, iteration, [](double t, AdamOptions& o) {
                         const double product = nadam_product(o.beta_1, t), next = nadam_weight(o.beta_1, t + 1);
                         o.m_factor = next / (1 - product * next);
                         o.s_factor = 1 / (1 - std::pow(o.beta_2, t));
                         o.g_factor = (1 - nadam_weight(o.beta_1, t)) / (1 - product);
                       }));
       });
}

void adamax_step(Arrays parameters, Arrays gradients, Arrays momentums, Arrays norms, const Scalar& learning_rate,
                 const Scalar& iteration, double beta_1, double beta_2, double epsilon, const Decay& weight_decay,
                 Option clipnorm, Option clipvalue, Option global_clipnorm, const OptionalArray& gradient_scale) {
  Lists lists("adamax_step", std::move(parameters), std::move(gradients));
  lists.with("momentums", std::move(momentums)).with("norms", std::move(norms));
  check_adam(lists.op, iteration, gradient_scale, beta_1, beta_2, epsilon);
  step(lists, common(lists, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm, gradient_scale}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         const AdamOptions given{beta_1, beta_2, epsilon};
         kernels.adamax(chunks, options, adam_options(given, iteration, [](double t, AdamOptions& o) {
                          o.m_factor = 1 / (1 - std::pow(o.beta_1, t));
                        }));
       });
}

void lamb_step(Arrays parameters, Arrays gradients, Arrays momentums, Arrays velocities, const Scalar& learning_rate,
               const Scalar& iteration, double beta_1, double beta_2, double epsilon, const Decay& weight_decay,
               Option clipnorm, Option clipvalue, Option global_clipnorm, const OptionalArray& gradient_scale) {
  Lists lists("lamb_step", std::move(parameters), std::move(gradients));
  lists.with("momentums", std::move(momentums)).with("velocities", std::move(velocities));
  check_adam(lists.op, iteration, gradient_scale, beta_1, beta_2, epsilon);
  const Device device = lists.parameters.arrays.empty() ? Device{} : lists.parameters.arrays[0].device();
  step(lists, common(lists, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm, gradient_scale}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         const AdamOptions given{beta_1, beta_2, epsilon};
         const AdamOptions adam = adam_options(given, iteration, [](double t, AdamOptions& o) {
           o.m_factor = 1 / (1 - std::pow(o.beta_1, t));
           o.s_factor = 1 / (1 - std::pow(o.beta_2, t));
         });
         const Array weights = Array::empty({chunks.count}, DType::Float64, device),
                     updates = Array::empty({chunks.count}, DType::Float64, device);
         kernels.lamb_moments(chunks, options, adam, writable<double>(weights), writable<double>(updates));
         kernels.lamb(chunks, options, adam, weights.data<double>(), updates.data<double>());
       });
}

void lion_step(Arrays parameters, Arrays gradients, Arrays momentums, const Scalar& learning_rate, double beta_1,
               double beta_2, const Decay& weight_decay, Option clipnorm, Option clipvalue, Option global_clipnorm,
               const OptionalArray& gradient_scale) {
  Lists lists("lion_step", std::move(parameters), std::move(gradients));
  lists.with("momentums", std::move(momentums));
  check_between(lists.op, "beta_1", beta_1, 0, 1);
  check_between(lists.op, "beta_2", beta_2, 0, 1);
  step(lists, common(lists, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm, gradient_scale}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         kernels.lion(chunks, options, beta_1, beta_2);
       });
}

void ftrl_step(Arrays parameters, Arrays gradients, Arrays accumulators, Arrays linears, const Scalar& learning_rate,
               double learning_rate_power, double l1, double l2, double l2_shrinkage, double beta,
               const Decay& weight_decay, Option clipnorm, Option clipvalue, Option global_clipnorm,
               const OptionalArray& gradient_scale) {
  Lists lists("ftrl_step", std::move(parameters), std::move(gradients));
  lists.with("accumulators", std::move(accumulators)).with("linears", std::move(linears));
  if (!(learning_rate_power <= 0 && std::isfinite(learning_rate_power))) {
    throw ValueError(
        message(lists.op, ": learning_rate_power must be finite and not positive but is ", learning_rate_power));
  }
  check_not_negative(lists.op, "l1", l1);
  check_not_negative(lists.op, "l2", l2);
  check_not_negative(lists.op, "l2_shrinkage", l2_shrinkage);
  check_not_negative(lists.op, "beta", beta);
  step(lists, common(lists, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm, gradient_scale}),
       [=](const auto& kernels, auto chunks, const StepOptions& options) {
         kernels.ftrl(chunks, options, {-learning_rate_power, l1, l2, l2_shrinkage, beta});
       });
}

void blend_step(Arrays parameters, Arrays gradients, const Scalar& learning_rate, double keep, double add,
                const Decay& weight_decay, Option clipnorm, Option clipvalue, Option global_clipnorm,
                const OptionalArray& gradient_scale) {
  const Lists lists("blend_step", std::move(parameters), std::move(gradients));
  step(
      lists, common(lists, learning_rate, weight_decay, {clipnorm, clipvalue, global_clipnorm, gradient_scale}),
      [=](const auto& kernels, auto chunks, const StepOptions& options) { kernels.blend(chunks, options, keep, add); });
}

// Whether all gradients are finite, found and acted on where they are: see LossScale. The count of steps taken rises if
// they are.
void loss_scale_step(Arrays gradients, Array scale, Array good_steps, Array iterations, Array gradient_scale,
                     int64_t growth_steps) {
  const char* op = "loss_scale_step";
  check_positive(op, "growth_steps", growth_steps);
  if (gradients.empty()) throw ValueError(message(op, ": there are no gradients"));
  Lists lists(op, gradients, gradients);
  for (const Array& gradient : gradients) check_alike(op, {{"gradients[0]", gradients[0]}, {"gradients", gradient}});
  check_floating(op, "gradients[0]", gradients[0]);
  const auto check = [&](const char* name, const Array& array, DType dtype) {
    check_dtype(op, name, array, dtype);
    check_shape(op, name, array, {});
    check_writable(op, name, array);
    check_same_device(op, {{"gradients[0]", gradients[0]}, {name, array}});
  };
  check("scale", scale, DType::Float32);
  check("good_steps", good_steps, DType::Int64);
  check("iterations", iterations, DType::Int64);
  check("gradient_scale", gradient_scale, DType::Float64);
  for (const Array* array : {&scale, &good_steps, &iterations, &gradient_scale}) array->bump_version();
  dispatch(op, gradients[0], [=, lists = std::move(lists)](const KernelTable& kernels, auto type) {
    using T = decltype(type);
    const OptimizerKernels<T>& optimizer = kernels.optimizer.template get<T>();
    const std::vector<StepChunk<T>> chunks = chunks_of<T>(lists, {});
    const StepChunks<T> all = view_of(chunks);
    const Array sums = Array::empty({all.count}, DType::Float64, lists.gradients.arrays[0].device());
    optimizer.sums_of_squares(all, writable<double>(sums));
    optimizer.loss_scale(all, sums.data<double>(),
                         {writable<float>(scale), writable<int64_t>(good_steps), writable<int64_t>(iterations),
                          writable<double>(gradient_scale), growth_steps});
  });
}

}  // namespace

void bind_optimizer(py::module_& m) {
  const py::arg_v decay = ("weight_decay"_a = py::none()), norm = ("clipnorm"_a = py::none()),
                  value = ("clipvalue"_a = py::none()), global = ("global_clipnorm"_a = py::none()),
                  scale = ("gradient_scale"_a = py::none());
  m.def("sgd_step", &sgd_step, "parameters"_a, "gradients"_a, "velocities"_a = py::none(), py::kw_only(),
        "learning_rate"_a, "momentum"_a = 0.0, "nesterov"_a = false, decay, norm, value, global, scale, releases_gil());
  m.def("adagrad_step", &adagrad_step, "parameters"_a, "gradients"_a, "accumulators"_a, py::kw_only(),
        "learning_rate"_a, "epsilon"_a = 1e-7, decay, norm, value, global, scale, releases_gil());
  m.def("adadelta_step", &adadelta_step, "parameters"_a, "gradients"_a, "accumulated_gradients"_a,
        "accumulated_deltas"_a, py::kw_only(), "learning_rate"_a, "rho"_a = 0.95, "epsilon"_a = 1e-7, decay, norm,
        value, global, scale, releases_gil());
  m.def("rmsprop_step", &rmsprop_step, "parameters"_a, "gradients"_a, "velocities"_a, "momentums"_a = py::none(),
        "average_gradients"_a = py::none(), py::kw_only(), "learning_rate"_a, "rho"_a = 0.9, "momentum"_a = 0.0,
        "epsilon"_a = 1e-7, decay, norm, value, global, scale, releases_gil());
  m.def("adam_step", &adam_step, "parameters"_a, "gradients"_a, "momentums"_a, "velocities"_a,
        "max_velocities"_a = py::none(), py::kw_only(), "learning_rate"_a, "iteration"_a, "beta_1"_a = 0.9,
        "beta_2"_a = 0.999, "epsilon"_a = 1e-7, decay, norm, value, global, scale, releases_gil());
  const auto bind_adam_kin = [&](const char* name, auto* function, const char* second) {
    m.def(name, function, "parameters"_a, "gradients"_a, "momentums"_a, py::arg(second), py::kw_only(),
          "learning_rate"_a, "iteration"_a, "beta_1"_a = 0.9, "beta_2"_a = 0.999, "epsilon"_a = 1e-7, decay, norm,
          value, global, scale, releases_gil());
  };
  bind_adam_kin("nadam_step", &nadam_step, "velocities");
  bind_adam_kin("adamax_step", &adamax_step, "norms");
  bind_adam_kin("lamb_step", &lamb_step, "velocities");
  m.def("lion_step", &lion_step, "parameters"_a, "gradients"_a, "momentums"_a, py::kw_only(), "learning_rate"_a,
        "beta_1"_a = 0.9, "beta_2"_a = 0.99, decay, norm, value, global, scale, releases_gil());
  m.def("ftrl_step", &ftrl_step, "parameters"_a, "gradients"_a, "accumulators"_a, "linears"_a, py::kw_only(),
        "learning_rate"_a, "learning_rate_power"_a = -0.5, "l1"_a = 0.0, "l2"_a = 0.0, "l2_shrinkage"_a = 0.0,
        "beta"_a = 0.0, decay, norm, value, global, scale, releases_gil());
  m.def("blend_step", &blend_step, "parameters"_a, "gradients"_a, py::kw_only(), "learning_rate"_a = 0.0, "keep"_a,
        "add"_a, decay, norm, value, global, scale, releases_gil());
  m.def("loss_scale_step", &loss_scale_step, "gradients"_a, "scale"_a, "good_steps"_a, "iterations"_a,
        "gradient_scale"_a, "growth_steps"_a, releases_gil());
}

}  // namespace ranvier
