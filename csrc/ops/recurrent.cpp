#include "ops/recurrent.h"

#include "ops/binding.h"

namespace ranvier {

void bind_recurrent(py::module_& m) { (void)m; }

}  // namespace ranvier
