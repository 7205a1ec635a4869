#include "ops/ladder.h"

#include "core/checks.h"
#include "core/dispatch.h"
#include "core/recording.h"
#include "cuda/ladder/ladder.h"
#include "cuda/runtime/runtime.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

// The step of a CPU's ladder or a GPU's.
template <typename Steps>
auto step_of(const char* op, const Steps& ladder, int step) {
  if (step < 0 || step >= ladder.count) {
    throw ValueError(message(op, ": step must be between 0 and ", ladder.count - 1, " but is ", step));
  }
  return ladder.steps[step].run;
}

bool has_gpu_ladder(const Array& array) { return !on_host(array.device()); }

const CudaLadders& ladders_for(const Array& array) {
  return array.device().kind == DeviceKind::Cuda ? gpu::ladders() : sim_ladders();
}

void* stream_for(const Array& array) {
  if (array.device().kind != DeviceKind::Cuda) return nullptr;
  return reinterpret_cast<void*>(gpu::current_stream(array.device().index));
}

enum class On { Cpu, Gpu, Both };  // the simulator counts as a GPU

void check_input(const char* op, const char* name, const Array& array, int rank, On on = On::Cpu) {
  check_dtype(op, name, array, DType::Float32);
  check_rank(op, name, array, rank);
  if (on != On::Cpu && has_gpu_ladder(array)) return;
  if (on == On::Gpu || array.device().kind != DeviceKind::Cpu) {
    throw DeviceError(message(op, ": ", name, " must be on ", on == On::Gpu ? "sim or cuda" : "the cpu", " but is on ",
                              device_name(array.device())));
  }
}

// The kernels of csrc/cuda/ladder index with int, as most CUDA code does.
int as_int(const char* op, int64_t size) {
  if (size > INT32_MAX) throw ValueError(message(op, ": at most 2^31 - 1 elements an array on a GPU"));
  return int(size);
}

Array ladder_gemm_on_gpu(int step, const Array& a, const Array& b) {
  Array c = Array::empty({a.shape(0), b.shape(1)}, DType::Float32, a.device());
  for (const Array* array : {&a, &b, static_cast<const Array*>(&c)}) as_int("ladder gemm", array->size());
  const CudaLadderGemm run_step = step_of("ladder gemm", ladders_for(a).gemm, step);
  if (c.size() == 0) return c;
  run("ladder gemm", [=]() mutable {
    const gpu::OnDevice here(a.device());
    run_step(a.data<float>(), b.data<float>(), c.data<float>(), int(a.shape(0)), int(b.shape(1)), int(a.shape(1)),
             stream_for(a));
  });
  return c;
}

// From x to y of `shape`: transpose and softmax, whose kernels take the same arguments.
template <typename Steps>
Array ladder_of_rows(const char* op, const Steps& steps, int step, const Array& x, const Shape& shape) {
  const auto run_step = step_of(op, steps, step);
  as_int(op, x.size());
  Array y = Array::empty(shape, DType::Float32, x.device());
  if (x.size() == 0) return y;
  run(op, [=]() mutable {
    const gpu::OnDevice here(x.device());
    run_step(x.data<float>(), y.data<float>(), int(x.shape(0)), int(x.shape(1)), stream_for(x));
  });
  return y;
}

Array ladder_transpose(int step, const Array& x) {
  check_input("ladder transpose", "x", x, 2, On::Gpu);
  return ladder_of_rows("ladder transpose", ladders_for(x).transpose, step, x, {x.shape(1), x.shape(0)});
}

Array ladder_sum(int step, const Array& x) {
  check_input("ladder sum", "x", x, 1, On::Gpu);
  const CudaLadderSum run_step = step_of("ladder sum", ladders_for(x).sum, step);
  const int count = as_int("ladder sum", x.size());
  Array y = Array::empty({1}, DType::Float32, x.device());
  run("ladder sum", [=]() mutable {
    const gpu::OnDevice here(x.device());
    run_step(x.data<float>(), y.data<float>(), count, stream_for(x));
  });
  return y;
}

Array ladder_gemm(int step, const Array& a, const Array& b) {
  check_input("ladder gemm", "a", a, 2, On::Both);
  check_input("ladder gemm", "b", b, 2, On::Both);
  check_alike("ladder gemm", {{"a", a}, {"b", b}});
  if (a.shape(1) != b.shape(0)) {
    throw ValueError(message("ladder gemm: a has ", a.shape(1), " columns but b has ", b.shape(0), " rows"));
  }
  if (has_gpu_ladder(a)) return ladder_gemm_on_gpu(step, a, b);
  Array c = Array::zeros({a.shape(0), b.shape(1)}, DType::Float32, a.device());
  dispatch_untyped("ladder gemm", a, [=](const KernelTable& kernels) mutable {
    const LadderGemm run = step_of("ladder gemm", kernels.ladder.gemm, step);
    run(a.data<float>(), b.data<float>(), c.data<float>(), a.shape(0), b.shape(1), a.shape(1));
  });
  return c;
}

Array ladder_conv2d(int step, const Array& x, const Array& kernel) {
  check_input("ladder conv2d", "x", x, 4);
  check_input("ladder conv2d", "kernel", kernel, 4);
  const LadderImages s{x.shape(0),      x.shape(1),      x.shape(2),     x.shape(3),
                       kernel.shape(0), kernel.shape(1), kernel.shape(3)};
  if (kernel.shape(2) != s.channels || s.window_height > s.height || s.window_width > s.width) {
    throw ValueError(
        message("ladder conv2d: kernel ", shape_text(kernel.shape()), " does not fit x ", shape_text(x.shape())));
  }
  Array y = Array::zeros({s.images, s.height - s.window_height + 1, s.width - s.window_width + 1, s.filters},
                         DType::Float32, x.device());
  dispatch_untyped("ladder conv2d", x, [=](const KernelTable& kernels) mutable {
    const LadderConv2d run = step_of("ladder conv2d", kernels.ladder.conv2d, step);
    if (y.size() > 0) run(x.data<float>(), kernel.data<float>(), y.data<float>(), s);
  });
  return y;
}

Array ladder_softmax(int step, const Array& x) {
  check_input("ladder softmax", "x", x, 2, On::Both);
  if (has_gpu_ladder(x)) {
    return ladder_of_rows("ladder softmax", ladders_for(x).softmax, step, x, x.shape());
  }
  Array y = Array::empty_like(x);
  dispatch_untyped("ladder softmax", x, [=](const KernelTable& kernels) mutable {
    const LadderSoftmax run = step_of("ladder softmax", kernels.ladder.softmax, step);
    if (x.size() > 0) run(x.data<float>(), y.data<float>(), x.shape(0), x.shape(1));
  });
  return y;
}

Array ladder_batch_norm(int step, const Array& x, const Array& gamma, const Array& beta, double epsilon) {
  check_input("ladder batch_norm", "x", x, 2);
  check_input("ladder batch_norm", "gamma", gamma, 1);
  check_input("ladder batch_norm", "beta", beta, 1);
  check_shape("ladder batch_norm", "gamma", gamma, {x.shape(1)});
  check_shape("ladder batch_norm", "beta", beta, {x.shape(1)});
  Array y = Array::empty_like(x);
  dispatch_untyped("ladder batch_norm", x, [=](const KernelTable& kernels) mutable {
    const LadderBatchNorm run = step_of("ladder batch_norm", kernels.ladder.batch_norm, step);
    if (x.size() == 0) return;
    run(x.data<float>(), gamma.data<float>(), beta.data<float>(), float(epsilon), y.data<float>(), x.shape(0),
        x.shape(1));
  });
  return y;
}

template <typename Steps>
std::vector<std::string> names_of(const Steps& ladder) {
  std::vector<std::string> names;
  for (int step = 0; step < ladder.count; ++step) names.emplace_back(ladder.steps[step].name);
  return names;
}

py::dict ladder_steps(const std::string& device) {
  const DeviceKind kind = device_argument(device).kind;
  if (kind == DeviceKind::Sim || kind == DeviceKind::Cuda) {
    const CudaLadders& ladders = kind == DeviceKind::Cuda ? gpu::ladders() : sim_ladders();
    return py::dict("gemm"_a = names_of(ladders.gemm), "sum"_a = names_of(ladders.sum),
                    "softmax"_a = names_of(ladders.softmax), "transpose"_a = names_of(ladders.transpose));
  }
  const LadderKernels& ladder = cpu_kernels().ladder;
  return py::dict("gemm"_a = names_of(ladder.gemm), "conv2d"_a = names_of(ladder.conv2d),
                  "softmax"_a = names_of(ladder.softmax), "batch_norm"_a = names_of(ladder.batch_norm));
}

}  // namespace

void bind_ladder(py::module_& m) {
  m.def("_ladder_steps", &ladder_steps, "device"_a = "cpu");
  m.def("_ladder_gemm", &ladder_gemm, "step"_a, "a"_a, "b"_a, releases_gil());
  m.def("_ladder_conv2d", &ladder_conv2d, "step"_a, "x"_a, "kernel"_a, releases_gil());
  m.def("_ladder_softmax", &ladder_softmax, "step"_a, "x"_a, releases_gil());
  m.def("_ladder_sum", &ladder_sum, "step"_a, "x"_a, releases_gil());
  m.def("_ladder_transpose", &ladder_transpose, "step"_a, "x"_a, releases_gil());
  m.def("_ladder_batch_norm", &ladder_batch_norm, "step"_a, "x"_a, "gamma"_a, "beta"_a, "epsilon"_a, releases_gil());
}

}  // namespace ranvier
