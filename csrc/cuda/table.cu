// The kernel table of a GPU, every family's part put together: sim_kernels(), or gpu::kernels() of csrc/cuda/runtime.
#include "cuda/table.h"

#include "cuda/cuda.h"
#include "ops/ceiling.h"
#include "ops/ladder.h"

namespace ranvier {
namespace RANVIER_GPU {

extern const PerType<ActivationKernels> activation_kernels;
extern const PerType<Conv2dKernels> conv2d_kernels;
extern const ElementwiseKernels elementwise_kernels;
extern const EmbeddingKernels embedding_kernels;
extern const PerType<GemmKernels> gemm_kernels;
extern const PerType<GroupNormKernels> group_norm_kernels;
extern const ImageKernels image_kernels;
extern const PerType<LossKernels> loss_kernels;
extern const PerType<NormKernels> norm_kernels;
extern const PerType<OptimizerKernels> optimizer_kernels;
extern const PerType<Pool2dKernels> pool2d_kernels;
extern const RandomKernels random_kernels;
extern const PerType<RecurrentKernels> recurrent_kernels;
extern const ReduceKernels reduce_kernels;
extern const ShapeKernels shape_kernels;
extern const PerType<SoftmaxKernels> softmax_kernels;

namespace {

// The host's own: a CPU's ceilings, and the ladders that csrc/cuda/ladder has under another name.
double no_ceiling(int64_t, int) { throw_no_kernel(); }
constexpr CeilingKernels ceiling_kernels = {no_ceiling, kAbsent};
constexpr Ladder<LadderGemm> no_gemm = {};
constexpr Ladder<LadderConv2d> no_conv2d = {};
constexpr Ladder<LadderSoftmax> no_softmax = {};
constexpr Ladder<LadderBatchNorm> no_batch_norm = {};
constexpr LadderKernels ladder_kernels = {no_gemm, no_conv2d, no_softmax, no_batch_norm};

}  // namespace

extern const KernelTable kernel_table;
const KernelTable kernel_table = {
    activation_kernels, ceiling_kernels, conv2d_kernels,    elementwise_kernels, embedding_kernels, gemm_kernels,
    group_norm_kernels, image_kernels,   ladder_kernels,    loss_kernels,        norm_kernels,      optimizer_kernels,
    pool2d_kernels,     random_kernels,  recurrent_kernels, reduce_kernels,      shape_kernels,     softmax_kernels,
};

}  // namespace RANVIER_GPU

}  // namespace ranvier
