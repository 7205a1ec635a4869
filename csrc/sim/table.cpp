// The kernels of device `sim`: those of csrc/cuda, and those from outside the tree in their place.
#include "cuda/table.h"

#include "core/own_kernels.h"

namespace ranvier {
namespace on_sim {

extern const KernelTable kernel_table;  // csrc/cuda/table.cu

}  // namespace on_sim

const KernelTable& sim_kernels() { return *with_own_kernels(&on_sim::kernel_table, DeviceKind::Sim); }

}  // namespace ranvier
