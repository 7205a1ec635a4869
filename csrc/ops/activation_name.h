// The activations that other ops fuse, by name.
#pragma once

#include <string>

#include "ops/activation.h"

namespace ranvier {

// With its default options. Throws ValueError for unknown names.
Activation named_activation(const char* op, const std::string& name);

}  // namespace ranvier
