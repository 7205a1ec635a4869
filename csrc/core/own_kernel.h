// The contract of a kernel from outside the tree (`ranvier kernel new`): a shared library with one RANVIER_KERNEL.
//
//   #include "core/own_kernel.h"
//   #include "ops/gemm.h"
//
//   RANVIER_KERNEL(gemm, ranvier::PerType<ranvier::GemmKernels>) {
//     kernels.f32.gemm = my_gemm;   // what is not replaced stays as it was; its pointer may be called, too
//   }
#pragma once

#include <cstddef>

#include "core/per_type.h"

namespace ranvier {

struct OwnKernel {
  const char* version;  // of the Ranvier whose headers it was built with
  const char* family;
  std::size_t size;                // of the family's kernel struct
  void (*install)(void* kernels);  // replaces pointers in a copy of the built-in struct
};

}  // namespace ranvier

#if !defined(RANVIER_KERNEL_DEVICE)
#define RANVIER_KERNEL_DEVICE "cpu"  // `ranvier kernel build` says "sim" or "cuda" for a kernel.cu
#endif

// NOLINTBEGIN(bugprone-macro-parentheses): a type
#define RANVIER_KERNEL(family, Kernels)                                                                                \
  static void ranvier_install(Kernels& kernels);                                                                       \
  extern "C" __attribute__((visibility("default"))) const char ranvier_kernel_device[];                                \
  const char ranvier_kernel_device[] = RANVIER_KERNEL_DEVICE;                                                          \
  extern "C" __attribute__((visibility("default"))) const ranvier::OwnKernel ranvier_kernel;                           \
  const ranvier::OwnKernel ranvier_kernel = {RANVIER_VERSION, #family, sizeof(Kernels),                                \
                                             [](void* kernels) { ranvier_install(*static_cast<Kernels*>(kernels)); }}; \
  static void ranvier_install(Kernels& kernels)
// NOLINTEND(bugprone-macro-parentheses)
