#include "sim/memory.h"

#include <link.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "core/error.h"
#include "sim/shadow.h"
#include "sim/symbols.h"
#include "sim/trace.h"

namespace ranvier::sim {
namespace {

using Address = std::uintptr_t;

Address address_of(const void* p) { return reinterpret_cast<Address>(p); }

struct Range {
  Address low = 0, high = 0;
  bool holds(Address p, unsigned bytes) const { return p >= low && p + bytes <= high; }
};

struct DeviceArray {
  std::uint64_t bytes;
  bool initialised;
};

// What a launch may touch, besides the stacks of its threads. Guarded by launch_mutex().
struct Memory {
  std::map<Address, DeviceArray> arrays;
  Range last;  // the array asked for last
  bool last_initialised = false;

  Shadow shadow;
  std::uint32_t stamp = 0;        // of the block that runs: counts all blocks of all launches
  std::uint32_t first_stamp = 0;  // of the launch
  Range code, static_shared, dynamic_shared;
  const std::vector<SharedVariable>* variables = nullptr;  // of static_shared
  std::map<std::string, std::vector<SharedVariable>> variables_of;
  std::unique_ptr<char[]> dynamic;
};

Memory& memory() {
  static auto* instance = new Memory;  // never destroyed: arrays may outlive static destruction
  return *instance;
}

// The module that holds the kernel: its static data, and its `__shared__` variables, which are thread-local to the
// host.
void find_module(Run& run) {
  struct Search {
    Address code;
    Range module, thread_local_block;
    std::string file;
  } search{address_of(run.launch.code), {}, {}, {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        auto& wanted = *static_cast<Search*>(data);
        Range whole{~Address{0}, 0};
        std::uint64_t thread_local_bytes = 0;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          if (segment.p_type == PT_TLS) thread_local_bytes = segment.p_memsz;
          if (segment.p_type != PT_LOAD) continue;
          whole.low = std::min<Address>(whole.low, info->dlpi_addr + segment.p_vaddr);
          whole.high = std::max<Address>(whole.high, info->dlpi_addr + segment.p_vaddr + segment.p_memsz);
        }
        if (!whole.holds(wanted.code, 1)) return 0;
        wanted.module = whole;
        const Address block = address_of(info->dlpi_tls_data);
        wanted.file = info->dlpi_name[0] != 0 ? info->dlpi_name : "/proc/self/exe";
        if (block != 0) wanted.thread_local_block = Range{block, block + thread_local_bytes};
        return 1;
      },
      &search);
  Memory& m = memory();
  m.code = search.module;
  m.static_shared = search.thread_local_block;
  const auto known = m.variables_of.find(search.file);
  m.variables = known != m.variables_of.end()
                    ? &known->second
                    : &m.variables_of.emplace(search.file, shared_variables(search.file)).first->second;
}

// The `__shared__` variable that an address lies in; null if it lies in none, or nobody knows their names.
const SharedVariable* variable_at(Address p) {
  const Memory& m = memory();
  if (m.variables == nullptr) return nullptr;  // no launch yet
  const std::uint64_t offset = p - m.static_shared.low;
  const auto next = std::upper_bound(m.variables->begin(), m.variables->end(), offset,
                                     [](std::uint64_t at, const SharedVariable& v) { return at < v.begin; });
  if (next == m.variables->begin()) return nullptr;
  const SharedVariable& variable = *(next - 1);
  return offset < variable.end ? &variable : nullptr;
}

const Range* shared_at(Address p, unsigned bytes) {
  Memory& m = memory();
  if (m.dynamic_shared.holds(p, bytes)) return &m.dynamic_shared;
  if (m.static_shared.holds(p, bytes) && (m.variables->empty() || variable_at(p) != nullptr)) return &m.static_shared;
  return nullptr;
}

// "shared memory, byte 12 of tile (256 bytes)", for a report.
std::string place_in_memory(Address p, bool shared) {
  const Memory& m = memory();
  if (!shared) return message("global memory, byte ", p - m.last.low, " of an array of ", m.last.high - m.last.low);
  if (m.dynamic_shared.holds(p, 1)) {
    return message("dynamic shared memory, byte ", p - m.dynamic_shared.low, " of ",
                   m.dynamic_shared.high - m.dynamic_shared.low);
  }
  const SharedVariable* variable = variable_at(p);
  if (variable == nullptr) return "shared memory";
  return message("shared memory, byte ", p - m.static_shared.low - variable->begin, " of ", variable->name, " (",
                 variable->end - variable->begin, " bytes)");
}

bool find_array(Address p, unsigned bytes) {
  Memory& m = memory();
  if (m.last.holds(p, bytes)) return true;
  auto next = m.arrays.upper_bound(p);
  if (next == m.arrays.begin()) return false;
  const auto& [base, array] = *--next;
  if (!Range{base, base + array.bytes}.holds(p, bytes)) return false;
  m.last = Range{base, base + array.bytes};
  m.last_initialised = array.initialised;
  return true;
}

// Nothing of ours: the nearest thing before it, for the report.
[[noreturn]] void out_of_bounds(Address p, unsigned bytes, Kind kind, const void* place) {
  Memory& m = memory();
  const char* did = kind == Kind::Read ? " reads " : " writes ";
  std::string near = "no array is near";
  const Range& shared = m.dynamic_shared;
  if (p >= shared.low && p < shared.high + 4096 && shared.high > shared.low) {
    near = message(p - shared.low, " bytes into dynamic shared memory of ", shared.high - shared.low);
  } else {
    const auto next = m.arrays.upper_bound(p);
    std::uint64_t distance = 1u << 20;  // what is further away has nothing to do with it
    if (next != m.arrays.begin()) {
      const auto& [base, array] = *std::prev(next);
      if (p - base < array.bytes + distance) {
        near = message(p - base, " bytes into an array of ", array.bytes);
        distance = p - base < array.bytes ? 0 : p - base - array.bytes;
      }
    }
    if (next != m.arrays.end() && next->first - p < distance) {
      near = message(next->first - p, " bytes before an array of ", next->second.bytes);
    }
  }
  fail(message("out of bounds: ", where(*running, *running->current), did, bytes, " bytes at ", at(place), ", ", near));
}

std::string party(const Run& run, const Access& access, bool wrote) {
  std::string who = thread_name(run, access.thread);
  if (access.stamp != memory().stamp) who += " of another block";
  return message(who, access.atomic ? " updates it at " : wrote ? " writes it at " : " reads it at ", at(access.place));
}

// Whether something lies between an earlier access and the lane that runs.
bool ordered(const Run& run, const Access& earlier, const Access& mine, bool shared) {
  const Memory& m = memory();
  if (earlier.stamp == 0 || earlier.stamp < m.first_stamp) return true;  // none, or another launch's
  if (earlier.atomic && mine.atomic) return true;
  if (earlier.stamp != mine.stamp) return shared;  // shared memory is new with each block; all else is never ordered
  if (earlier.thread == mine.thread || earlier.interval != mine.interval) return true;
  if (earlier.thread / kWarpSize != mine.thread / kWarpSize) return false;
  return run.current->warp->clock[mine.thread % kWarpSize][earlier.thread % kWarpSize] >= earlier.tick;
}

[[noreturn]] void race(const Run& run, Address p, bool shared, const Access& earlier, bool earlier_wrote,
                       const Access& mine, bool wrote) {
  fail(message("race in ", place_in_memory(p, shared), ": ", party(run, earlier, earlier_wrote), ", ",
               party(run, mine, wrote), ", no barrier between"));
}

void check_cell(const Run& run, Cell& cell, Address p, const Access& mine, Kind kind, bool shared) {
  const bool writes = kind != Kind::Read;
  if (kind != Kind::Write) {  // what is read must have been written
    const bool known = shared ? cell.write.stamp == mine.stamp : cell.write.stamp != 0 || memory().last_initialised;
    if (!known) {
      fail(message("uninitialised ", place_in_memory(p, shared), ": ", where(run, *run.current), " reads at ",
                   at(mine.place), " what nobody has written"));
    }
  }
  if (!ordered(run, cell.write, mine, shared)) race(run, p, shared, cell.write, true, mine, writes);
  if (writes) {
    for (const Access& read : cell.reads) {
      if (!ordered(run, read, mine, shared)) race(run, p, shared, read, false, mine, true);
    }
    cell.write = mine;
    cell.reads[0] = cell.reads[1] = Access{};
    return;
  }
  Access& first = cell.reads[0];
  if (first.stamp != mine.stamp || first.interval != mine.interval) {
    cell.reads[1] = first.stamp != mine.stamp ? first : Access{};
    first = mine;
  } else if (first.thread != mine.thread) {
    cell.reads[1] = mine;
  } else {
    first = mine;
  }
}

}  // namespace

void add_array(const void* data, std::uint64_t bytes) {
  Memory& m = memory();
  std::lock_guard<std::mutex> lock(launch_mutex());
  m.arrays[address_of(data)] = DeviceArray{bytes, false};
  m.shadow.forget(address_of(data), bytes);
  m.last = Range{};
}

void remove_array(const void* data) {
  Memory& m = memory();
  std::lock_guard<std::mutex> lock(launch_mutex());
  const auto found = m.arrays.find(address_of(data));
  if (found == m.arrays.end()) return;
  m.shadow.forget(found->first, found->second.bytes);
  m.arrays.erase(found);
  m.last = Range{};
}

void written_by_host(const void* data) {
  Memory& m = memory();
  std::lock_guard<std::mutex> lock(launch_mutex());
  const auto found = m.arrays.find(address_of(data));
  if (found != m.arrays.end()) found->second.initialised = true;
  m.last = Range{};
}

void begin_launch(Run& run) {
  Memory& m = memory();
  m.first_stamp = m.stamp + 1;
  m.last = Range{};
  m.dynamic.reset(new char[run.launch.dynamic_shared_bytes + 16]);
  const Address start = (address_of(m.dynamic.get()) + 15) / 16 * 16;
  m.dynamic_shared = Range{start, start + run.launch.dynamic_shared_bytes};
  find_module(run);
}

void begin_block(Run&) {
  Memory& m = memory();
  ++m.stamp;
  if (m.dynamic_shared.high > m.dynamic_shared.low) {  // what a kernel finds there must not look like a result
    std::memset(reinterpret_cast<void*>(m.dynamic_shared.low), 0xff, m.dynamic_shared.high - m.dynamic_shared.low);
  }
}

void end_block(Run& run) {
  flush_trace(run);
  count_block(run);
  run.first_block = false;
}

Object object_at(std::uintptr_t p, bool shared) {
  const Memory& m = memory();
  if (!shared) {
    const auto next = m.arrays.upper_bound(p);
    if (next == m.arrays.begin()) return {"", p, 0};
    return {"", std::prev(next)->first, std::prev(next)->second.bytes};
  }
  const Range& dynamic = m.dynamic_shared;
  if (dynamic.holds(p, 1)) return {"dynamic shared memory", dynamic.low, dynamic.high - dynamic.low};
  const SharedVariable* variable = variable_at(p);
  if (variable == nullptr) return {"shared memory", m.static_shared.low, m.static_shared.high - m.static_shared.low};
  return {variable->name, m.static_shared.low + variable->begin, variable->end - variable->begin};
}

char* dynamic_shared() { return reinterpret_cast<char*>(memory().dynamic_shared.low); }

void touch(const void* address, unsigned bytes, Kind kind, const void* place) {
  Run& run = *running;
  if (run.current->stack.holds(address)) return;
  const Address p = address_of(address);
  bool shared = shared_at(p, bytes) != nullptr;
  if (!shared && !find_array(p, bytes)) {
    if (memory().code.holds(p, bytes) && kind == Kind::Read) return;  // constants
    find_module(run);  // shared variables come into being when they are first touched
    shared = shared_at(p, bytes) != nullptr;
    if (!shared) out_of_bounds(p, bytes, kind, place);
  }
  if (run.options.trace) trace(run, p, bytes, kind, shared, place);
  if (!run.options.check) return;
  const Lane& lane = *run.current;
  const Access mine{place,
                    memory().stamp,
                    run.interval,
                    lane.warp->clock[lane.lane()][lane.lane()],
                    static_cast<std::uint16_t>(lane.index),
                    kind == Kind::Atomic};
  memory().shadow.visit(
      p, bytes, [&](Cell& cell, Address cell_address) { check_cell(run, cell, cell_address, mine, kind, shared); });
}

}  // namespace ranvier::sim
