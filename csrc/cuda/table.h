// The kernel tables of csrc/cuda: the same .cu files for the simulator (device `sim`) and, one day, for a GPU.
#pragma once

#include <exception>

#include "core/kernel_table.h"

namespace ranvier {

const KernelTable& sim_kernels();

// What stands in a table where a kernel is still to be written: dispatch() then names the op and the device.
struct NoKernel : std::exception {};
[[noreturn]] void throw_no_kernel();

// Turns into a pointer to any kernel.
struct Absent {
  template <typename... Parameters>
  using Kernel = void (*)(Parameters...);
  template <typename... Parameters>
  constexpr operator Kernel<Parameters...>() const {  // NOLINT(google-explicit-constructor): what it is for
    return [](Parameters...) { throw_no_kernel(); };
  }
};
constexpr Absent kAbsent{};

}  // namespace ranvier
