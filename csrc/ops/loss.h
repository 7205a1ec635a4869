#pragma once

#include "core/per_type.h"

namespace ranvier {

template <typename T>
struct LossKernels {};

}  // namespace ranvier
