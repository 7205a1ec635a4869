// Which address is whose, and who touched it last.
//
// Every launch, every four bytes (every byte, where a kernel reads or writes single ones) have a cell: the last write
// and two of the reads since. Two accesses race when they touch a byte, one of them writes, not both are atomic, and
// nothing orders them: different blocks of a launch are never ordered; threads of a block are by a barrier between
// (`interval`), lanes of a warp also by __syncwarp (vector clocks). This is FastTrack (Flanagan and Freund 2009) with
// the clocks that CUDA's barriers need.
#pragma once

#include <cstdint>
#include <string>

#include "sim/arrays.h"
#include "sim/state.h"

namespace ranvier::sim {

enum class Kind : std::uint8_t { Read, Write, Atomic };

void begin_launch(Run& run);
void begin_block(Run& run);
void end_block(Run& run);

// An access of the lane that runs, from `place`. Fails the launch when it must not be.
void touch(const void* address, unsigned bytes, Kind kind, const void* place);

// What an address lies in: a shared variable, or an array, which has no name.
struct Object {
  std::string name;
  std::uintptr_t begin;
  std::uint64_t bytes;
};
Object object_at(std::uintptr_t address, bool shared);

}  // namespace ranvier::sim
