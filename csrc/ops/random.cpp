#include "ops/random.h"

#include "ops/binding.h"

namespace ranvier {

void bind_random(py::module_& m) { (void)m; }

}  // namespace ranvier
