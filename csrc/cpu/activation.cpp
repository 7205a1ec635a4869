// threshold, and the loops of relu, leaky_relu, elu, selu, gelu, silu, softplus, sigmoid and tanh, whose
// formulas and slopes stand in cpu/activation_math.h, where the epilogues of dense find them too.
#include "ops/activation.h"

#include "cpu/activation_math.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

constexpr int64_t kGrain = 4096;

template <typename T>
void forward(Activation activation, const T* x, T* y, int64_t n) {
  parallel(0, n, kGrain, [&](int64_t begin, int64_t end) { activate(activation, x + begin, y + begin, end - begin); });
}

template <typename T>
void backward(Activation activation, const T* saved, const T* dy, T* dx, int64_t n) {
  parallel(0, n, kGrain, [&](int64_t begin, int64_t end) {
    activate_backward(activation, saved + begin, dy + begin, dx + begin, end - begin);
  });
}

template <typename T>
void threshold(const T* x, T value, bool inclusive, T* y, int64_t n) {
  parallel(0, n, 4 * kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = T(x[i] > value || (inclusive && x[i] == value));
  });
}

}  // namespace

extern const PerType<ActivationKernels> activation_kernels;
const PerType<ActivationKernels> activation_kernels = {
    {forward<float>, backward<float>, threshold<float>},
    {forward<double>, backward<double>, threshold<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
