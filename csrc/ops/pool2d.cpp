#include "ops/pool2d.h"

#include "ops/binding.h"

namespace ranvier {

void bind_pool2d(py::module_& m) { (void)m; }

}  // namespace ranvier
