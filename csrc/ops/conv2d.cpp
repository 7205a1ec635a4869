#include "ops/conv2d.h"

#include "ops/binding.h"

namespace ranvier {

void bind_conv2d(py::module_& m) { (void)m; }

}  // namespace ranvier
