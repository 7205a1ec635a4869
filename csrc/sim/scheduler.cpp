// Blocks one after the other; within a block, one fiber per thread, each running until it has to wait for others.
//
// A real GPU runs warps in any order, and so do we: forward, reverse, or as a seed says. What depends on the order is a
// bug that the checks of memory.cpp find in every order; the order only makes wrong *results* show.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>

#include "core/error.h"
#include "sim/memory.h"
#include "sim/state.h"
#include "sim/trace.h"

// What CUDA calls them. Kernels see them as constants (sim/cuda.h), so that no access to them is watched; they change
// when the scheduler switches to another thread.
#define RANVIER_SIM_BUILTIN(name) \
  __attribute__((visibility("default"))) ranvier::sim::Size3 ranvier_sim_##name asm("ranvier_sim_" #name)
RANVIER_SIM_BUILTIN(threadIdx);
RANVIER_SIM_BUILTIN(blockIdx);
RANVIER_SIM_BUILTIN(blockDim);
RANVIER_SIM_BUILTIN(gridDim);

namespace ranvier::sim {

Run* running = nullptr;
std::atomic<const char*> running_stack{nullptr};

namespace {

constexpr std::uint64_t kMostBlocks = (std::uint64_t{1} << 31) - 1;
constexpr unsigned kMostThreads = 1024;
constexpr std::uint64_t kMostTurns = std::uint64_t{1} << 26;  // turns of one block in which no thread got anywhere

std::uint64_t next_random(std::uint64_t& state) {  // splitmix64 (Steele, Lea and Flood 2014)
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::uint64_t count(Size3 size) { return std::uint64_t{size.x} * size.y * size.z; }

Size3 position(std::uint64_t index, Size3 size) {
  return Size3{static_cast<unsigned>(index % size.x), static_cast<unsigned>(index / size.x % size.y),
               static_cast<unsigned>(index / size.x / size.y)};
}

}  // namespace

class Scheduling {
 public:
  explicit Scheduling(Run& run) : run_(run) {}

  void execute(std::uint64_t number) {
    run_.block = static_cast<std::uint32_t>(number);
    run_.block_index = ranvier_sim_blockIdx = position(number, run_.launch.grid);
    run_.interval = 0;
    begin_block(run_);
    start();
    while (run_.failure.empty() && live_ > 0) {
      if (ready_.empty()) {
        report_deadlock();
        break;
      }
      Lane& lane = *next();
      if (++turns_ > kMostTurns) {
        run_.failure = message("nothing came of ", kMostTurns, " turns: ", where(run_, lane),
                               " and others wait in a loop for what never happens");
        break;
      }
      run_.current = &lane;
      ranvier_sim_threadIdx = position(static_cast<std::uint64_t>(lane.index), run_.launch.block);
      running_stack.store(lane.stack.low, std::memory_order_relaxed);
      switch_to(run_.scheduler, lane.context, &lane.stack);
      running_stack.store(nullptr, std::memory_order_relaxed);
      run_.current = nullptr;
    }
    end_block(run_);
  }

  void wake(Lane& lane) {
    lane.waiting = Waiting::No;
    ready_.push_back(&lane);
    turns_ = 0;
  }
  // Still able to run, but after the others: an atomic operation, or a loop that waits for one.
  void step_aside(Lane& lane) {
    run_.options.schedule == Schedule::Reverse ? ready_.push_front(&lane) : ready_.push_back(&lane);
  }

  void finish(Lane& lane) {
    lane.waiting = Waiting::Done;
    lane.warp->done |= 1u << lane.lane();
    --live_;
    turns_ = 0;
  }

  void barrier(Lane& lane, Site site) {
    if (at_barrier_ > 0 && (barrier_site_.line != site.line || std::strcmp(barrier_site_.file, site.file) != 0)) {
      fail(message("divergent barrier: ", where(run_, lane), " is at the __syncthreads() of ", at(site),
                   ", others of its block at that of ", at(barrier_site_)));
    }
    barrier_site_ = site;
    lane.waiting = Waiting::Block;
    lane.site = site;
    if (++at_barrier_ < static_cast<int>(run_.lanes.size())) return yield();
    at_barrier_ = 0;
    ++run_.interval;
    trace_barrier(run_, site);
    flush_trace(run_);
    for (Lane& other : run_.lanes) wake(other);
    yield();
  }

 private:
  void start() {
    at_barrier_ = 0;
    turns_ = 0;
    ready_.clear();
    for (Warp& warp : run_.warps) {
      warp.done = 0;
      warp.meeting_count = 0;
      std::fill(&warp.clock[0][0], &warp.clock[0][0] + kWarpSize * kWarpSize, 0u);
      for (int i = 0; i < kWarpSize; ++i) warp.clock[i][i] = 1;
    }
    for (Lane& lane : run_.lanes) {
      prepare(lane.context, lane.stack, &enter, &lane);
      lane.copies.clear();
      lane.groups = 0;
      wake(lane);
    }
    live_ = static_cast<int>(run_.lanes.size());
  }

  static void enter(void* pointer) {
    arrived();
    Lane& lane = *static_cast<Lane*>(pointer);
    running->launch.body(running->launch.arguments);
    if (!lane.copies.empty()) {
      fail(message("cp.async: ", where(*running, lane), " returned without waiting for the copy of ",
                   at(lane.copies.front().place)));
    }
    running->scheduling->finish(lane);
    switch_to(lane.context, running->scheduler, nullptr, true);
  }

  Lane* next() {
    auto chosen = ready_.begin();
    if (run_.options.schedule == Schedule::Reverse) chosen = ready_.end() - 1;
    if (run_.options.schedule == Schedule::Random) {
      chosen += static_cast<std::ptrdiff_t>(next_random(run_.random) % ready_.size());
    }
    Lane* lane = *chosen;
    ready_.erase(chosen);
    return lane;
  }

  // Nobody can go on: the first thread that waits, and the first that it waits for in vain.
  void report_deadlock() {
    const Lane& waits = *std::find_if(run_.lanes.begin(), run_.lanes.end(), [](const Lane& lane) {
      return lane.waiting == Waiting::Warp || lane.waiting == Waiting::Block;
    });
    const auto awaited = [&](const Lane& other) {
      if (waits.waiting == Waiting::Block) return other.waiting != Waiting::Block;
      const Warp& warp = *waits.warp;
      for (int i = 0; i < warp.meeting_count; ++i) {
        const Meeting& meeting = warp.meetings[i];
        if ((meeting.here >> waits.lane()) & 1) {
          return other.warp == &warp && ((meeting.mask & ~meeting.here) >> other.lane()) & 1;
        }
      }
      return false;
    };
    const Lane& absent = *std::find_if(run_.lanes.begin(), run_.lanes.end(), awaited);
    const char* what = waits.waiting == Waiting::Block ? "__syncthreads()" : "warp operation";
    run_.failure =
        message(absent.waiting == Waiting::Done ? "exited thread: " : "divergent barrier: ", where(run_, waits),
                " waits at the ", what, " of ", at(waits.site), " for ", where(run_, absent),
                absent.waiting == Waiting::Done ? ", which has returned" : ", which waits at " + at(absent.site));
  }

  Run& run_;
  std::deque<Lane*> ready_;
  int live_ = 0, at_barrier_ = 0;
  Site barrier_site_{};
  std::uint64_t turns_ = 0;
};

namespace {

void check(const Launch& launch) {
  const auto name = kernel_name(launch.kernel);
  if (count(launch.block) == 0 || count(launch.grid) == 0) {
    throw ValueError(message(name, ": a grid and its blocks need at least one element in each direction"));
  }
  if (count(launch.block) > kMostThreads || launch.block.z > 64) {
    throw ValueError(message(name, ": a block of ", launch.block.x, "x", launch.block.y, "x", launch.block.z,
                             " threads; a GPU takes 1024 in all, and 64 in z"));
  }
  if (launch.grid.x > kMostBlocks || launch.grid.y > 65535 || launch.grid.z > 65535) {
    throw ValueError(message(name, ": a grid of ", launch.grid.x, "x", launch.grid.y, "x", launch.grid.z,
                             " blocks; a GPU takes 2147483647 in x and 65535 in y and z"));
  }
}

std::vector<std::uint64_t> block_order(Run& run) {
  std::vector<std::uint64_t> order(count(run.launch.grid));
  for (std::uint64_t i = 0; i < order.size(); ++i) order[i] = i;
  if (run.options.schedule == Schedule::Reverse) std::reverse(order.begin(), order.end());
  if (run.options.schedule == Schedule::Random) {
    for (std::uint64_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[next_random(run.random) % i]);
  }
  return order;
}

void set_up(Run& run) {
  const int threads = static_cast<int>(count(run.launch.block));
  run.warps.resize(static_cast<std::size_t>((threads + kWarpSize - 1) / kWarpSize));
  run.lanes.resize(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i) {
    Lane& lane = run.lanes[static_cast<std::size_t>(i)];
    lane.index = i;
    lane.warp = &run.warps[static_cast<std::size_t>(i / kWarpSize)];
    lane.warp->index = i / kWarpSize;
    lane.warp->lanes |= 1u << (i % kWarpSize);
    lane.stack = acquire_stack();
  }
}

}  // namespace

std::mutex& launch_mutex() {
  static auto* mutex = new std::mutex;  // never destroyed, as what it guards
  return *mutex;
}

namespace {

// The failure's report, empty where all went well.
std::string execute(const Launch& launch) {
  std::lock_guard<std::mutex> lock(launch_mutex());
  Run run{};
  run.launch = launch;
  run.kernel = kernel_name(launch.kernel);
  run.options = options();
  run.random = run.options.seed;
  Scheduling scheduling(run);
  run.scheduling = &scheduling;
  struct Stacks {  // given back even where a stack could not be had
    Run& run;
    ~Stacks() {
      running = nullptr;
      for (const Lane& lane : run.lanes) {
        if (lane.stack.low != nullptr) release_stack(lane.stack);
      }
    }
  } stacks{run};
  set_up(run);
  begin_launch(run);
  ranvier_sim_gridDim = launch.grid;
  ranvier_sim_blockDim = launch.block;
  running = &run;
  for (const std::uint64_t number : block_order(run)) {
    scheduling.execute(number);
    if (!run.failure.empty()) return described(run);
  }
  return {};
}

}  // namespace

void run(const Launch& launch) {
  check(launch);
  const Window open;
  const std::string report = execute(launch);
  if (!report.empty()) throw DeviceError(with_places(report));
}

void yield() { switch_to(running->current->context, running->scheduler, nullptr); }

void fail(const std::string& report) {
  running->failure = report;
  switch_to(running->current->context, running->scheduler, nullptr, true);
  std::abort();  // nobody switches back
}

void wake(Lane& lane) { running->scheduling->wake(lane); }

void step_aside() {
  running->scheduling->step_aside(*running->current);
  yield();
}

void block_barrier(Site site) { running->scheduling->barrier(*running->current, site); }

}  // namespace ranvier::sim
