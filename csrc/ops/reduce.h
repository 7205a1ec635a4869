#pragma once

namespace ranvier {

struct ReduceKernels {};

}  // namespace ranvier
