// The names of `__shared__` variables: thread-local to the host, so the module's symbol table has them, with sizes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ranvier::sim {

struct SharedVariable {
  std::uint64_t begin, end;  // in the module's thread-local block
  std::string name;          // "tile"
};

// In order of `begin`; empty where the module was stripped of its symbols.
std::vector<SharedVariable> shared_variables(const std::string& module);

}  // namespace ranvier::sim
