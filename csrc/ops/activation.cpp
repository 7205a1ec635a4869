#include "ops/activation.h"

#include "ops/binding.h"

namespace ranvier {

void bind_activation(py::module_& m) { (void)m; }

}  // namespace ranvier
