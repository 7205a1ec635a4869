#include "ops/embedding.h"

#include "cpu/simd.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<EmbeddingKernels> embedding_kernels;
const PerType<EmbeddingKernels> embedding_kernels = {};

}  // namespace RANVIER_ISA
}  // namespace ranvier
