#include "ops/reduce.h"

#include "ops/binding.h"

namespace ranvier {

void bind_reduce(py::module_& m) { (void)m; }

}  // namespace ranvier
