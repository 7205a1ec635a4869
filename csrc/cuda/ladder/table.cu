// The ladders put together.
#include "cuda/cuda.h"
#include "cuda/ladder/ladder.h"

namespace ranvier {
namespace RANVIER_GPU {

extern const CudaLadder<CudaLadderGemm> gemm_ladder;
extern const CudaLadder<CudaLadderSoftmax> softmax_ladder;
extern const CudaLadder<CudaLadderSum> sum_ladder;
extern const CudaLadder<CudaLadderTranspose> transpose_ladder;

extern const CudaLadders ladders;
const CudaLadders ladders = {gemm_ladder, softmax_ladder, sum_ladder, transpose_ladder};

}  // namespace RANVIER_GPU

#if !defined(__CUDACC__)
const CudaLadders& sim_ladders() { return RANVIER_GPU::ladders; }
#endif

}  // namespace ranvier
