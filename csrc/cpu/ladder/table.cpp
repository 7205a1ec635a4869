// The four ladders of one instruction set.
#include "cpu/simd.h"
#include "ops/ladder.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const Ladder<LadderGemm> gemm_ladder;
extern const Ladder<LadderConv2d> conv2d_ladder;
extern const Ladder<LadderSoftmax> softmax_ladder;
extern const Ladder<LadderBatchNorm> batch_norm_ladder;

extern const LadderKernels ladder_kernels;
const LadderKernels ladder_kernels = {gemm_ladder, conv2d_ladder, softmax_ladder, batch_norm_ladder};

}  // namespace RANVIER_ISA
}  // namespace ranvier
