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

// What the lanes of a warp ask for with one instruction. Fibers run one after the other, so lanes are brought together
// by counting: the n-th time that a lane passes a place since the last barrier belongs to the n-th time of the others.
// Right for code that does not diverge; a loop of different length per lane is counted as if it began together.
struct Request {
  bool shared = false, write = false;
  int lanes = 0;
  unsigned bytes = 0;  // of one lane
  std::uintptr_t address[kWarpSize];
};

struct Key {
  const void* place;
  std::uint32_t warp, occurrence;
  bool operator==(const Key& other) const {
    return place == other.place && warp == other.warp && occurrence == other.occurrence;
  }
};
struct KeyHash {
  std::size_t operator()(const Key& key) const {
    return (reinterpret_cast<std::uintptr_t>(key.place) * 31 + key.warp) * 0x9e3779b97f4a7c15u + key.occurrence;
  }
};

struct Trace {
  std::unordered_map<Key, Request, KeyHash> requests;                // since the last barrier
  std::unordered_map<Key, std::uint32_t, KeyHash> passed;            // by (place, thread)
  std::map<std::tuple<std::string, const void*, bool>, Line> lines;  // kernel, place, write
  std::map<std::string, Counted> kernels;
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
  for (int begin = 0; begin < request.lanes; begin += group) {
    std::vector<std::uintptr_t> asked;
    for (int i = begin; i < std::min(request.lanes, begin + group); ++i) {
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

}  // namespace

void trace(const Run& run, std::uintptr_t address, unsigned bytes, Kind kind, bool shared, const void* place) {
  Trace& t = traces();
  const Lane& lane = *run.current;
  const std::uint32_t occurrence = t.passed[Key{place, static_cast<std::uint32_t>(lane.index), 0}]++;
  Request& request = t.requests[Key{place, static_cast<std::uint32_t>(lane.warp->index), occurrence}];
  if (request.lanes == kWarpSize) return;  // one place that a lane passes with different sizes: never of our kernels
  request.shared = shared;
  request.write = kind != Kind::Read;
  request.bytes = bytes;
  request.address[request.lanes++] = address;
}

void flush_trace(Run& run) {
  if (!run.options.trace) return;
  Trace& t = traces();
  for (const auto& [key, request] : t.requests) {
    Line& line = t.lines[{run.kernel, key.place, request.write}];
    if (line.requests == 0) line.kernel = run.kernel, line.place = key.place;
    line.shared = request.shared;
    line.write = request.write;
    ++line.requests;
    line.lanes += static_cast<std::uint64_t>(request.lanes);
    line.bytes += static_cast<std::uint64_t>(request.lanes) * request.bytes;
    (request.shared ? line.wavefronts : line.sectors) += request.shared ? wavefronts(request) : sectors(request);
  }
  t.requests.clear();
  t.passed.clear();
}

void count_block(const Run& run) {
  if (!run.options.trace) return;
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
