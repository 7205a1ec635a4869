// From an array's device and dtype to the kernels that compute on it.
//
//   dispatch("softmax", x, [=](const KernelTable& kernels, auto type) mutable {
//     using T = decltype(type);
//     kernels.softmax.get<T>().forward(x.data<T>(), y.data<T>(), rows);
//   });
//
// The body holds its arrays by value: a recording keeps a copy of it to run the step again (core/recording.h).
//
// On the reference device nothing runs: the op has checked its arguments, inferred its shapes and
// allocated its outputs, and Python fills them from `ranvier.reference` (python/ranvier/_kernels.py).
// So one set of checks serves every device, and inferred shapes are themselves checked.
#pragma once

#include <utility>

#include "core/array.h"
#include "core/error.h"
#include "core/kernel_table.h"
#include "core/recording.h"
#include "cuda/runtime/on_device.h"
#include "cuda/table.h"

namespace ranvier {

// The table for an array's device, or nullptr for the reference device.
inline const KernelTable* kernels_for(const char* op, Device device) {
  switch (device.kind) {
    case DeviceKind::Cpu: return &cpu_kernels();
    case DeviceKind::Reference: return nullptr;
    case DeviceKind::Sim: return &sim_kernels();
    case DeviceKind::Cuda: return &gpu::kernels();
  }
  throw DeviceError(message(op, ": no kernels for device ", device_name(device)));
}

// body(table of the device, more...); a kernel that the table lacks becomes a DeviceError.
template <typename Body, typename... More>
void call_kernels(const char* op, Device device, Body& body, More... more) {
  const gpu::OnDevice here(device);
  try {
    body(*kernels_for(op, device), more...);
  } catch (const NoKernel&) {
    throw DeviceError(message(op, ": no kernel for device ", device_name(device), " yet"));
  }
}

// Now, and again by each replay where a step is recorded.
template <typename Body, typename... More>
void run_kernels(const char* op, Device device, Body& body, More... more) {
  if (Recording::current() == nullptr) return call_kernels(op, device, body, more...);  // spares moving the body
  run(op, device, [op, device, body = std::move(body), more...]() mutable { call_kernels(op, device, body, more...); });
}

// For ops on float32 and float64.
template <typename Body>
void dispatch(const char* op, const Array& array, Body body) {
  const Device device = array.device();
  if (kernels_for(op, device) == nullptr) return;
  switch (array.dtype()) {
    case DType::Float32: return run_kernels(op, device, body, float{});
    case DType::Float64: return run_kernels(op, device, body, double{});
    default: break;
  }
  throw TypeError(message(op, ": expected float32 or float64 but got ", dtype_name(array.dtype())));
}

// The same for families that have kernels for 16-bit floats on GPUs. (On the CPU rv.autograd.Function has widened
// them.)
template <typename Body>
void dispatch_narrow(const char* op, const Array& array, Body body) {
  const Device device = array.device();
  if (!on_host(device)) {
    if (array.dtype() == DType::Float16) return run_kernels(op, device, body, Float16{});
    if (array.dtype() == DType::BFloat16) return run_kernels(op, device, body, BFloat16{});
  }
  dispatch(op, array, body);
}

// For ops whose kernels take the dtype as an argument (elementwise, shape, random).
template <typename Body>
void dispatch_untyped(const char* op, const Array& array, Body body) {
  const Device device = array.device();
  if (kernels_for(op, device) == nullptr) return;
  run_kernels(op, device, body);
}

}  // namespace ranvier
