#pragma once

namespace ranvier {

struct ShapeKernels {};

}  // namespace ranvier
