// One table of function pointers per device and instruction set. Each op family declares its part in
// csrc/ops/<family>.h; each csrc/cpu/<family>.cpp, compiled once per instruction set into a namespace
// of its own, fills it; csrc/cpu/table.cpp puts the parts together.
#pragma once

#include <string>
#include <vector>

#include "core/per_type.h"

namespace ranvier {

// Each defined in csrc/ops/<family>.h; named only here, so that a change of one family recompiles no other.
template <typename T>
struct ActivationKernels;
struct CeilingKernels;
template <typename T>
struct Conv2dKernels;
struct ElementwiseKernels;
struct EmbeddingKernels;
template <typename T>
struct GemmKernels;
template <typename T>
struct GroupNormKernels;
struct ImageKernels;
struct LadderKernels;
template <typename T>
struct LossKernels;
template <typename T>
struct NormKernels;
template <typename T>
struct OptimizerKernels;
template <typename T>
struct Pool2dKernels;
struct RandomKernels;
template <typename T>
struct RecurrentKernels;
struct ReduceKernels;
struct ShapeKernels;
template <typename T>
struct SoftmaxKernels;

// References, so that a table is a constant and no static initialiser runs.
struct KernelTable {
  const PerType<ActivationKernels>& activation;
  const CeilingKernels& ceiling;
  const PerType<Conv2dKernels>& conv2d;
  const ElementwiseKernels& elementwise;
  const EmbeddingKernels& embedding;
  const PerType<GemmKernels>& gemm;
  const PerType<GroupNormKernels>& group_norm;
  const ImageKernels& image;
  const LadderKernels& ladder;
  const PerType<LossKernels>& loss;
  const PerType<NormKernels>& norm;
  const PerType<OptimizerKernels>& optimizer;
  const PerType<Pool2dKernels>& pool2d;
  const RandomKernels& random;
  const PerType<RecurrentKernels>& recurrent;
  const ReduceKernels& reduce;
  const ShapeKernels& shape;
  const PerType<SoftmaxKernels>& softmax;
};

// The CPU's table, chosen once from cpuid (or RANVIER_ISA).
const KernelTable& cpu_kernels();

std::string chosen_isa();  // "baseline", "avx2" or "avx512"
std::vector<std::string> built_isas();
std::vector<std::string> usable_isas();  // built, and the processor has it
void set_isa(const std::string& name);   // throws ValueError; for tests and benchmarks

}  // namespace ranvier
