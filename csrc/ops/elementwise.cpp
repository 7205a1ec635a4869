#include "ops/elementwise.h"

#include "ops/binding.h"

namespace ranvier {

void bind_elementwise(py::module_& m) { (void)m; }

}  // namespace ranvier
