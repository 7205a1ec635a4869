// What the memory system of a GPU would have had to do: per line of a kernel the requests that its warps make, the
// 32-byte sectors of global memory that they touch, and the passes ("wavefronts") that the 32 banks of shared memory
// need; also where warps wait, exchange, and run with some of their lanes only. Of one block the addresses are kept, to
// be drawn (python/ranvier/visualize/simulator.py).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/memory.h"

namespace ranvier::sim {

enum class Space : std::uint8_t { Global, Shared, Warp, Block };  // memory; exchanges of lanes; barriers

struct Line {
  std::string kernel;
  const void* place;
  Space space;
  std::string access;            // "read", "write"; "__shfl_xor_sync", "__syncthreads"
  std::uint64_t requests = 0;    // of whole warps: one instruction, up to 32 lanes
  std::uint64_t lanes = 0;       // that took part: 32 a request where nothing diverges
  std::uint64_t divergent = 0;   // requests in which not all lanes of the warp took part
  std::uint64_t bytes = 0;       // that the lanes asked for
  std::uint64_t sectors = 0;     // global memory
  std::uint64_t wavefronts = 0;  // shared memory
};

struct Counted {  // per kernel
  std::string kernel;
  std::uint64_t launches = 0, blocks = 0, threads = 0, barriers = 0;
};

// One request of the block that Options names: which lane asked for which address.
struct Seen {
  std::string kernel;
  const void* place;
  bool shared, write;
  int warp;
  std::uint32_t time;  // how often the warp had passed this place before
  unsigned bytes;      // of one lane
  std::string object;  // "tile", or empty for an array
  std::uint64_t object_bytes;
  std::vector<int> lanes;
  std::vector<std::int64_t> offsets;  // of their addresses, from the start of the object
};

void trace(const Run& run, std::uintptr_t address, unsigned bytes, Kind kind, bool shared, const void* place);
void trace_barrier(const Run& run, Site site);  // all threads of the block wait for one another
void trace_exchange(const Run& run, const Warp& warp, const char* name, std::uint32_t mask, Site site);
void flush_trace(Run& run);  // at a barrier, and where a block ends: lanes of a warp have caught up with each other
void count_block(const Run& run);

RANVIER_SIM_API std::vector<Seen> traced_requests();
RANVIER_SIM_API void clear_trace();
RANVIER_SIM_API std::vector<Line> traced_lines();
RANVIER_SIM_API std::vector<Counted> traced_kernels();

}  // namespace ranvier::sim
