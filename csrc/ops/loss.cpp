#include "ops/loss.h"

#include "ops/binding.h"

namespace ranvier {

void bind_loss(py::module_& m) { (void)m; }

}  // namespace ranvier
