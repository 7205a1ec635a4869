#include "ops/gemm.h"

#include "ops/binding.h"

namespace ranvier {

void bind_gemm(py::module_& m) { (void)m; }

}  // namespace ranvier
