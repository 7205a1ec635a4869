// The CUDA simulator, as a kernel sees it: what the words of csrc/sim/cuda.h call. Nothing here computes; the rooms are
//   fiber.cpp       a stack per CUDA thread          memory.cpp     which address is whose, and who touched it last
//   scheduler.cpp   blocks, warps, barriers          hooks.cpp      every load and store, from the compiler
//   collective.cpp  warps that act as one            trace.cpp      sectors, bank conflicts, lanes per request
//   report.cpp      what went wrong, in words
//
// One launch at a time, all of its blocks one after the other on the thread that launched it. How it can be so short,
// and what it cannot see: docs/simulator.md.
#pragma once

#include <cstdint>

#if defined(__GNUC__)
#define RANVIER_SIM_API __attribute__((visibility("default")))  // kernels from outside the tree link against it
#else
#define RANVIER_SIM_API
#endif

namespace ranvier::sim {

struct Size3 {
  unsigned x = 1, y = 1, z = 1;
};

struct Site {  // a line of a kernel's source
  const char* file;
  int line;
};

struct Launch {
  const char* kernel;  // its name as the compiler writes it: see `kernel_name`
  const void* code;    // where it is: tells the module, and so its shared variables
  Size3 grid, block;
  std::uint64_t dynamic_shared_bytes;
  void (*body)(const void* arguments);
  const void* arguments;
};

// Runs the grid. Throws SimulationError for what a kernel did wrong, std::invalid_argument for a launch no GPU takes.
RANVIER_SIM_API void run(const Launch& launch);

RANVIER_SIM_API void block_barrier(Site site);
RANVIER_SIM_API char* dynamic_shared();

// --- warps -----------------------------------------------------------------------------------------------------------

// What one lane brings to a collective operation, and takes from it.
struct Record {
  const void* in;
  void* out;
  int argument;
};

// All lanes of `mask` meet; the last to come runs `act` over their records (null for lanes that are not in it).
using Act = void (*)(Record* const* records, std::uint32_t mask);
RANVIER_SIM_API void collective(std::uint32_t mask, const char* name, Record record, Act act, bool orders_memory,
                                Site site);
RANVIER_SIM_API std::uint32_t active_mask();  // lanes of this warp that have not returned

// --- memory ----------------------------------------------------------------------------------------------------------

// Around a read-modify-write: other threads may run before it, and it conflicts with plain accesses only.
RANVIER_SIM_API void before_atomic(void* address, unsigned bytes, Site site);

// Copies that are under way until they are waited for (cp.async).
RANVIER_SIM_API void copy_async(void* shared, const void* global, unsigned bytes, unsigned valid, Site site);
RANVIER_SIM_API void commit_copies();
RANVIER_SIM_API void wait_copies(unsigned groups_left);

// Reads and writes that a model of an instruction makes for a lane (ldmatrix): as if the kernel had made them itself.
RANVIER_SIM_API void note_access(const void* address, unsigned bytes, bool write, Site site);

}  // namespace ranvier::sim
