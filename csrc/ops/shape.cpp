#include "ops/shape.h"

#include "ops/binding.h"

namespace ranvier {

void bind_shape(py::module_& m) { (void)m; }

}  // namespace ranvier
