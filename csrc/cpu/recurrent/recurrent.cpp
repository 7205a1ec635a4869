// The table of simple_rnn, lstm and gru, and of their cells (simple_rnn_cell, lstm_cell, gru_cell: one step).
#include "cpu/recurrent/rows.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

template <typename T>
void forward(const RecurrentForward<T>& p) {
  if (p.sizes.batch == 0) return;
  if (p.sizes.steps == 1 && p.sizes.cell != RecurrentCell::GruResetBefore) return run_single(p);
  run_forward(p);
}

template <typename T>
void backward(const RecurrentBackward<T>& p) {
  run_backward(p);
}

}  // namespace

extern const PerType<RecurrentKernels> recurrent_kernels;
const PerType<RecurrentKernels> recurrent_kernels = {
    {forward<float>, backward<float>},
    {forward<double>, backward<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
