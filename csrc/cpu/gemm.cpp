#include "ops/gemm.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<GemmKernels> gemm_kernels;
const PerType<GemmKernels> gemm_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
