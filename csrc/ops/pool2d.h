#pragma once

#include "core/per_type.h"

namespace ranvier {

template <typename T>
struct Pool2dKernels {};

}  // namespace ranvier
