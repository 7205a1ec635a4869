#include "ops/norm.h"

#include "ops/binding.h"

namespace ranvier {

void bind_norm(py::module_& m) { (void)m; }

}  // namespace ranvier
