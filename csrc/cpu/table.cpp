// The kernel table of one instruction set: every family's part, put together.
#include "core/kernel_table.h"

#ifndef RANVIER_ISA
#define RANVIER_ISA baseline
#endif

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<ActivationKernels> activation_kernels;
extern const CeilingKernels ceiling_kernels;
extern const PerType<Conv2dKernels> conv2d_kernels;
extern const ElementwiseKernels elementwise_kernels;
extern const EmbeddingKernels embedding_kernels;
extern const PerType<GemmKernels> gemm_kernels;
extern const PerType<GroupNormKernels> group_norm_kernels;
extern const ImageKernels image_kernels;
extern const LadderKernels ladder_kernels;
extern const PerType<LossKernels> loss_kernels;
extern const PerType<NormKernels> norm_kernels;
extern const PerType<OptimizerKernels> optimizer_kernels;
extern const PerType<Pool2dKernels> pool2d_kernels;
extern const RandomKernels random_kernels;
extern const PerType<RecurrentKernels> recurrent_kernels;
extern const ReduceKernels reduce_kernels;
extern const ShapeKernels shape_kernels;
extern const PerType<SoftmaxKernels> softmax_kernels;

extern const KernelTable kernel_table;
const KernelTable kernel_table = {
    activation_kernels, ceiling_kernels, conv2d_kernels,    elementwise_kernels, embedding_kernels, gemm_kernels,
    group_norm_kernels, image_kernels,   ladder_kernels,    loss_kernels,        norm_kernels,      optimizer_kernels,
    pool2d_kernels,     random_kernels,  recurrent_kernels, reduce_kernels,      shape_kernels,     softmax_kernels,
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
