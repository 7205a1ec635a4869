#include "ops/embedding.h"

#include "ops/binding.h"

namespace ranvier {

void bind_embedding(py::module_& m) { (void)m; }

}  // namespace ranvier
