// threshold, and the loops of relu, leaky_relu, elu, selu, gelu, silu, softplus, sigmoid and tanh, whose
// formulas and slopes stand in cpu/activation_math.h, where the epilogues of dense find them too.
#include "ops/activation.h"

#include "cpu/activation_math.h"
#include "cpu/row.h"

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
    each_vector<T>(end - begin, [&](int64_t at, int64_t left) RANVIER_INLINED {
      const Vec<T> v = load_some(x + begin + at, left), limit = broadcast(value);
      const IntVec<T> above = inclusive ? v >= limit : v > limit;
      store_some(y + begin + at, select(above, broadcast<T>(1), Vec<T>{}), left);
    });
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
