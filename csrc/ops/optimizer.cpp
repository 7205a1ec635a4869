#include "ops/optimizer.h"

#include "ops/binding.h"

namespace ranvier {

void bind_optimizer(py::module_& m) { (void)m; }

}  // namespace ranvier
