#include "sim/trace.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

#include "sim/state.h"

namespace ranvier::sim {
namespace {

constexpr std::uintptr_t kSector = 32;
constexpr std::uintptr_t kBankBytes = 4;
constexpr int kBanks = 32;
constexpr std::uint32_t kMostSeen = 64;  // requests kept of each warp and place

// What the lanes of a warp ask for with one instruction. Fibers run one after the other, so lanes are brought together
// by counting: the n-th time that a lane passes a place since the last barrier belongs to the n-th time of the others.
// Right for code that does not diverge; a loop of different length per lane is counted as if it began together.
struct Request {
  bool shared = false, write = false;
  int lanes = 0;
  unsigned bytes = 0;  // of one lane
  int of = 0;          // lanes that the warp has
  std::uintptr_t address[kWarpSize];
  std::uint8_t lane[kWarpSize];
};

struct Key {
  const void* place;
  std::uint32_t warp, occurrence;
  bool shared = false, write = false;  // an asynchronous copy reads and writes at one place
  bool operator==(const Key& other) const {
    return place == other.place && warp == other.warp && occurrence == other.occurrence && shared == other.shared &&
           write == other.write;
  }
};
struct KeyHash {
  std::size_t operator()(const Key& key) const {
    const std::uintptr_t place =
        reinterpret_cast<std::uintptr_t>(key.place) * 4 + (key.shared ? 2 : 0) + (key.write ? 1 : 0);
    return (place * 31 + key.warp) * 0x9e3779b97f4a7c15u + key.occurrence;
  }
};

struct Trace {
  std::unordered_map<Key, Request, KeyHash> requests;                       // since the last barrier
  std::unordered_map<Key, std::uint32_t, KeyHash> passed;                   // by (place, thread)
  std::map<std::tuple<std::string, const void*, std::string>, Line> lines;  // kernel, place, access
  std::map<std::string, Counted> kernels;
  std::vector<Seen> seen;
  std::unordered_map<Key, std::uint32_t, KeyHash> seen_before;  // by (place, warp), of the block that is kept
};

Trace& traces() {
  static auto* instance = new Trace;  // guarded by launch_mutex()
  return *instance;
}

std::uint64_t sectors(const Request& request) {
  std::vector<std::uintptr_t> touched;
  for (int i = 0; i < request.lanes; ++i) {
    for (auto s = request.address[i] / kSector; s <= (request.address[i] + request.bytes - 1) / kSector; ++s) {
      touched.push_back(s);
    }
  }
  std::sort(touched.begin(), touched.end());
  return static_cast<std::uint64_t>(std::unique(touched.begin(), touched.end()) - touched.begin());
}

// Each bank gives one 4-byte word a pass; lanes that ask for the same word share it. Lanes that ask for 8 or 16 bytes
// come in halves or quarters of a warp.
std::uint64_t wavefronts(const Request& request) {
  const int words = static_cast<int>(std::max<std::uintptr_t>(1, request.bytes / kBankBytes));
  const int group = std::max(1, kBanks / words);
  std::uint64_t passes = 0;
  for (int begin = 0; begin < kWarpSize; begin += group) {
    std::vector<std::uintptr_t> asked;
    for (int i = 0; i < request.lanes; ++i) {
      if (request.lane[i] < begin || request.lane[i] >= begin + group) continue;
      for (int w = 0; w < words; ++w) asked.push_back(request.address[i] / kBankBytes + static_cast<unsigned>(w));
    }
    std::sort(asked.begin(), asked.end());
    asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
    std::uint64_t in_bank[kBanks] = {};
    for (const std::uintptr_t word : asked) ++in_bank[word % kBanks];
    passes += *std::max_element(in_bank, in_bank + kBanks);
  }
  return passes;
}

Line& line_of_trace(const Run& run, const void* place, Space space, const char* access) {
  Line& line = traces().lines[{run.kernel, place, access}];
  if (line.requests == 0) line.kernel = run.kernel, line.place = place, line.space = space, line.access = access;
  return line;
}

int count_lanes(std::uint32_t mask) { return __builtin_popcount(mask); }

// The block whose addresses are kept, in a kernel's first launch.
bool is_kept(const Run& run) {
  const Size3 wanted = run.options.kept_block, now = run.block_index;
  if (now.x != wanted.x || now.y != wanted.y || now.z != wanted.z) return false;
  const auto found = traces().kernels.find(run.kernel);
  return found == traces().kernels.end() || found->second.launches == (run.first_block ? 0u : 1u);
}

void keep(const Run& run, const Key& key, const Request& request) {
  Trace& t = traces();
  const std::uint32_t time = t.seen_before[Key{key.place, key.warp, 0, key.shared, key.write}] + key.occurrence;
  if (time >= kMostSeen) return;
  const Object object = object_at(request.address[0], request.shared);
  Seen seen{run.kernel, key.place,     request.shared, request.write, static_cast<int>(key.warp),
            time,       request.bytes, object.name,    object.bytes,  {},
            {}};
  for (int i = 0; i < request.lanes; ++i) {
    seen.lanes.push_back(request.lane[i]);
    seen.offsets.push_back(static_cast<std::int64_t>(request.address[i] - object.begin));
  }
  t.seen.push_back(std::move(seen));
}

void keep_all(const Run& run) {
  Trace& t = traces();
  for (const auto& [key, request] : t.requests) keep(run, key, request);
  for (const auto& [key, request] : t.requests) ++t.seen_before[Key{key.place, key.warp, 0, key.shared, key.write}];
}

}  // namespace

void trace(const Run& run, std::uintptr_t address, unsigned bytes, Kind kind, bool shared, const void* place) {
  Trace& t = traces();
  const Lane& lane = *run.current;
  const bool write = kind != Kind::Read;
  const std::uint32_t occurrence = t.passed[Key{place, static_cast<std::uint32_t>(lane.index), 0, shared, write}]++;
  Request& request = t.requests[Key{place, static_cast<std::uint32_t>(lane.warp->index), occurrence, shared, write}];
  request.shared = shared;
  request.write = write;
  request.bytes = bytes;
  request.of = count_lanes(lane.warp->lanes);
  request.lane[request.lanes] = static_cast<std::uint8_t>(lane.lane());
  request.address[request.lanes++] = address;
}

void trace_barrier(const Run& run, Site site) {
  if (!run.options.trace) return;
  Line& line = line_of_trace(run, place_of(site), Space::Block, "__syncthreads");
  line.requests += run.warps.size();
  line.lanes += run.lanes.size();
}

void trace_exchange(const Run& run, const Warp& warp, const char* name, std::uint32_t mask, Site site) {
  if (!run.options.trace) return;
  Line& line = line_of_trace(run, place_of(site), Space::Warp, name);
  line.requests += 1;
  line.lanes += static_cast<std::uint64_t>(count_lanes(mask));
  line.divergent += mask != warp.lanes ? 1 : 0;
}

void flush_trace(Run& run) {
  if (!run.options.trace) return;
  Trace& t = traces();
  if (is_kept(run)) keep_all(run);
  for (const auto& [key, request] : t.requests) {
    Line& line =
        line_of_trace(run, key.place, request.shared ? Space::Shared : Space::Global, request.write ? "write" : "read");
    ++line.requests;
    line.lanes += static_cast<std::uint64_t>(request.lanes);
    line.divergent += request.lanes < request.of ? 1 : 0;
    line.bytes += static_cast<std::uint64_t>(request.lanes) * request.bytes;
    (request.shared ? line.wavefronts : line.sectors) += request.shared ? wavefronts(request) : sectors(request);
  }
  t.requests.clear();
  t.passed.clear();
}

void count_block(const Run& run) {
  if (!run.options.trace) return;
  traces().seen_before.clear();
  Counted& counted = traces().kernels[run.kernel];
  counted.blocks += 1;
  counted.launches += run.first_block ? 1 : 0;
  counted.threads += run.lanes.size();
  counted.barriers += run.interval;
}

void clear_trace() {
  std::lock_guard<std::mutex> lock(launch_mutex());
  traces() = Trace{};
}

std::vector<Line> traced_lines() {
  std::lock_guard<std::mutex> lock(launch_mutex());
  std::vector<Line> lines;
  for (const auto& [key, line] : traces().lines) lines.push_back(line);
  return lines;
}

std::vector<Seen> traced_requests() {
  std::lock_guard<std::mutex> lock(launch_mutex());
  return traces().seen;
}

std::vector<Counted> traced_kernels() {
  std::lock_guard<std::mutex> lock(launch_mutex());
  std::vector<Counted> kernels;
  for (const auto& [name, counted] : traces().kernels) {
    kernels.push_back(counted);
    kernels.back().kernel = name;
  }
  return kernels;
}

}  // namespace ranvier::sim
