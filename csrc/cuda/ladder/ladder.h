// The teaching ladders on a GPU: as csrc/ops/ladder.h, with a stream. Each runs on `sim`, where its trace counts what
// the memory system would have to do, and on `cuda`, where a clock says what that costs. No word of CUDA in here:
// csrc/ops includes it.
#pragma once

namespace ranvier {

// c (m, n) = a (m, k) b (k, n)
using CudaLadderGemm = void (*)(const float* a, const float* b, float* c, int m, int n, int k, void* stream);
// y = x transposed, x (rows, columns)
using CudaLadderTranspose = void (*)(const float* x, float* y, int rows, int columns, void* stream);
// y[0] = the sum of x
using CudaLadderSum = void (*)(const float* x, float* y, int count, void* stream);
// y = softmax of each row of x (rows, columns)
using CudaLadderSoftmax = void (*)(const float* x, float* y, int rows, int columns, void* stream);

template <typename Run>
struct CudaLadder {
  struct Step {
    const char* name;
    Run run;
  };
  int count;
  Step steps[10];
};

struct CudaLadders {
  const CudaLadder<CudaLadderGemm>& gemm;
  const CudaLadder<CudaLadderSoftmax>& softmax;
  const CudaLadder<CudaLadderSum>& sum;
  const CudaLadder<CudaLadderTranspose>& transpose;
};

const CudaLadders& sim_ladders();

}  // namespace ranvier
