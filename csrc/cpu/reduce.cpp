#include "ops/reduce.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const ReduceKernels reduce_kernels;
const ReduceKernels reduce_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
