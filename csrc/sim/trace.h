// What the memory system of a GPU would have had to do: per line of a kernel the requests that its warps make, the
// 32-byte sectors of global memory that they touch, and the passes ("wavefronts") that the 32 banks of shared memory
// need.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/memory.h"

namespace ranvier::sim {

struct Line {
  std::string kernel;
  const void* place;
  bool shared, write;
  std::uint64_t requests = 0;    // of whole warps: one instruction, up to 32 lanes
  std::uint64_t lanes = 0;       // that took part: 32 a request where nothing diverges
  std::uint64_t bytes = 0;       // that the lanes asked for
  std::uint64_t sectors = 0;     // global memory
  std::uint64_t wavefronts = 0;  // shared memory
};

struct Counted {  // per kernel
  std::string kernel;
  std::uint64_t launches = 0, blocks = 0, threads = 0, barriers = 0;
};

void trace(const Run& run, std::uintptr_t address, unsigned bytes, Kind kind, bool shared, const void* place);
void flush_trace(Run& run);  // at a barrier, and where a block ends: lanes of a warp have caught up with each other
void count_block(const Run& run);

RANVIER_SIM_API void clear_trace();
RANVIER_SIM_API std::vector<Line> traced_lines();
RANVIER_SIM_API std::vector<Counted> traced_kernels();

}  // namespace ranvier::sim
