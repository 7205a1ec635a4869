#include "ops/ceiling.h"

#include "core/checks.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

constexpr int64_t kMostRounds = int64_t{1} << 40;

double fma_loop(int64_t rounds) {
  check_positive("fma_loop", "rounds", rounds);
  if (rounds > kMostRounds) throw ValueError(message("fma_loop: rounds must be at most 2^40 but is ", rounds));
  return cpu_kernels().ceiling.fma_loop(rounds, num_threads());
}

void triad(const Array& a, Array& b, double s) {
  check_dtype("triad", "a", a, DType::Float32);
  check_alike("triad", {{"a", a}, {"b", b}});
  check_shape("triad", "b", b, a.shape());
  check_writable("triad", "b", b);
  dispatch_untyped("triad", a, [=](const KernelTable& kernels) mutable {
    kernels.ceiling.triad(a.data<float>(), b.data<float>(), static_cast<float>(s), a.size());
  });
  b.bump_version();
}

}  // namespace

void bind_ceiling(py::module_& m) {
  m.def("_fma_loop", &fma_loop, "rounds"_a, releases_gil());
  m.def("_triad", &triad, "a"_a, "b"_a, "s"_a, releases_gil());
}

}  // namespace ranvier
