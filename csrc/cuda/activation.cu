// relu, leaky_relu, elu, selu, gelu, silu, softplus, sigmoid, tanh, threshold; formulas in activation_math.h.
#include "cuda/activation_math.h"
#include "cuda/half.h"
#include "cuda/launch.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

template <typename T>
__global__ void activate(Activation activation, const T* x, T* y, int64_t n) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) {
    y[i] = rounded<T>(activated(activation, wide(x[i])));
  }
}

template <typename T>
__global__ void activate_backward(Activation activation, const T* saved, const T* dy, T* dx, int64_t n) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) {
    dx[i] = rounded<T>(chained(activation, wide(saved[i]), wide(dy[i])));
  }
}

template <typename T>
__global__ void steps(const T* x, Wide<T> value, bool inclusive, T* y, int64_t n) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) {
    const Wide<T> v = wide(x[i]);
    y[i] = rounded<T>(v > value || (inclusive && v == value) ? 1 : 0);
  }
}

template <typename T>
void forward(Activation activation, const T* x, T* y, int64_t n) {
  launch<activate<T>>(grid_for(n), dim3(kThreads), 0, current_stream(), activation, x, y, n);
}

template <typename T>
void backward(Activation activation, const T* saved, const T* dy, T* dx, int64_t n) {
  launch<activate_backward<T>>(grid_for(n), dim3(kThreads), 0, current_stream(), activation, saved, dy, dx, n);
}

template <typename T>
void threshold(const T* x, Wide<T> value, bool inclusive, T* y, int64_t n) {
  launch<steps<T>>(grid_for(n), dim3(kThreads), 0, current_stream(), x, value, inclusive, y, n);
}

}  // namespace

extern const PerType<ActivationKernels> activation_kernels;
const PerType<ActivationKernels> activation_kernels = {
    {forward<float>, backward<float>, threshold<float>},
    {forward<double>, backward<double>, threshold<double>},
    {forward<Float16>, backward<Float16>, threshold<Float16>},
    {forward<BFloat16>, backward<BFloat16>, threshold<BFloat16>},
};

}  // namespace RANVIER_GPU
}  // namespace ranvier
