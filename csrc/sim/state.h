// What the rooms of the simulator share: the launch that runs, its block, its warps, its lanes.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "sim/fiber.h"
#include "sim/runtime.h"

namespace ranvier::sim {

constexpr int kWarpSize = 32;

enum class Waiting : std::uint8_t { No, Block, Warp, Done };

struct Warp;
class Scheduling;  // scheduler.cpp

struct Copy {  // cp.async: under way until it is waited for
  char* shared;
  const char* global;
  unsigned bytes, valid;  // beyond `valid` come zeros
  unsigned group;
  const void* place;
};

struct Lane {  // one CUDA thread
  Context context;
  Stack stack;
  Warp* warp = nullptr;
  int index = 0;  // in the block
  Waiting waiting = Waiting::No;
  Site site{};      // where it waits
  Record record{};  // what it brings to a warp operation
  std::vector<Copy> copies;
  unsigned groups = 0;  // of copies, committed so far
  int lane() const { return index % kWarpSize; }
};

// Lanes that wait for one another. Half-warps may meet apart, so a warp can have several.
struct Meeting {
  std::uint32_t mask = 0, here = 0;
  const char* name = nullptr;
  Site site{};
  Record* records[kWarpSize] = {};
};

struct Warp {
  int index = 0;
  std::uint32_t lanes = 0;  // those that exist
  std::uint32_t done = 0;   // those that have returned
  Meeting meetings[kWarpSize];
  int meeting_count = 0;
  // Vector clocks: clock[a][b] is the last tick of lane b that lane a knows to lie before it; clock[a][a] is its own.
  // __syncwarp joins the clocks of its lanes (shuffles do not order memory).
  std::uint32_t clock[kWarpSize][kWarpSize] = {};
};

enum class Schedule : std::uint8_t { Forward, Reverse, Random };

struct Options {
  bool check = true;   // races, bounds, uninitialised reads
  bool trace = false;  // statistics
  Schedule schedule = Schedule::Forward;
  std::uint64_t seed = 0;
  Size3 kept_block{0, 0, 0};  // whose addresses the statistics keep
};

struct Run {  // the launch under way
  Launch launch;
  std::string kernel;  // its name
  Options options;
  Context scheduler;
  std::vector<Lane> lanes;
  std::vector<Warp> warps;
  Scheduling* scheduling = nullptr;
  Lane* current = nullptr;
  Size3 block_index;
  bool first_block = true;
  std::uint32_t block = 0;     // its number in the grid
  std::uint32_t interval = 0;  // barriers of the block so far
  std::uint64_t random = 0;
  std::string failure;  // not empty: the launch is given up
};

std::mutex& launch_mutex();  // held by a launch, and by whoever changes what memory.cpp knows

extern Run* running;  // the launch under way; for those who hold the lock

// The stack of the lane that runs, null outside. Each load and store asks whether it comes from there: host functions
// of the same files, of this thread or another, do not. (Not thread-local: shared variables are, and with those the
// block of thread-local memory is too large to be reached without a call.)
extern std::atomic<const char*> running_stack;

Options& options();  // of the launches to come

// For the lane that runs: hand the processor back to wait, or to let others go first. `wake` ends another's wait.
void yield();
void step_aside();
void wake(Lane& lane);

// Gives the launch up: notes the report and never returns to the lane.
[[noreturn]] void fail(const std::string& report);

std::string kernel_name(const char* pretty);          // from the name that the compiler gives `launch`
std::string where(const Run& run, const Lane& lane);  // "thread (3,0,0) of block (1,0,0)"
std::string thread_name(const Run& run, int index);   // "thread (3,0,0)"
std::string described(const Run& run);                // the failure, with kernel and schedule

// A place in a kernel: an address in its code, or a Site that was interned where the code is the simulator's own.
const void* place_of(Site site);
std::string at(Site site);  // "softmax.cu:42"
// A mark for a place: its line is looked up by `with_places` when the launch is over (a fiber's stack is small, and
// the line table is read by Python).
std::string at(const void* place);
std::string with_places(const std::string& report);

}  // namespace ranvier::sim
