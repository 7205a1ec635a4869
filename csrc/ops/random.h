#pragma once

namespace ranvier {

struct RandomKernels {};

}  // namespace ranvier
