// From addresses and compiler's names to what a person reads.
#pragma once

#include <string>
#include <vector>

#include "sim/state.h"

namespace ranvier::sim {

// Finds the source line of an address: the file of its module, and the offset in it. Python reads the line tables
// (python/ranvier/sim/lines.py); until it has said how, places are module and offset.
struct CodeAddress {
  std::string module;
  std::uint64_t offset;
};
using LineFinder = std::string (*)(const CodeAddress& address);
RANVIER_SIM_API void set_line_finder(LineFinder finder);

RANVIER_SIM_API std::string line_of(const void* place);

}  // namespace ranvier::sim
