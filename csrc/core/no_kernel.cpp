#include "cuda/table.h"

namespace ranvier {

void throw_no_kernel() { throw NoKernel{}; }

}  // namespace ranvier
