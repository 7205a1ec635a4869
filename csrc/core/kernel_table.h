// One table of function pointers per device and instruction set. Each op family declares its part in
// csrc/ops/<family>.h; each csrc/cpu/<family>.cpp, compiled once per instruction set into a namespace
// of its own, fills it; csrc/cpu/table.cpp puts the parts together.
#pragma once

#include <string>
#include <vector>

#include "ops/activation.h"
#include "ops/ceiling.h"
#include "ops/conv2d.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gemm.h"
#include "ops/loss.h"
#include "ops/norm.h"
#include "ops/optimizer.h"
#include "ops/pool2d.h"
#include "ops/random.h"
#include "ops/recurrent.h"
#include "ops/reduce.h"
#include "ops/shape.h"
#include "ops/softmax.h"

namespace ranvier {

// References, so that a table is a constant and no static initialiser runs.
struct KernelTable {
  const PerType<ActivationKernels>& activation;
  const CeilingKernels& ceiling;
  const PerType<Conv2dKernels>& conv2d;
  const ElementwiseKernels& elementwise;
  const PerType<EmbeddingKernels>& embedding;
  const PerType<GemmKernels>& gemm;
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
