#pragma once

namespace ranvier {

struct ElementwiseKernels {};

}  // namespace ranvier
