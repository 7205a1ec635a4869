// Warp operations (shuffles, votes, __syncwarp, ldmatrix, mma): all lanes that the mask names meet, the last one acts
// for all. A lane that calls without being in its mask, names one that has returned, or meets others that came for
// something else fails at once: on hardware that is undefined, and works on one generation to hang on the next.
#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "sim/cuda.h"
#include "sim/memory.h"
#include "sim/state.h"
#include "sim/trace.h"

namespace ranvier::sim {
namespace {

std::string mask_text(std::uint32_t mask) {
  static const char* digits = "0123456789abcdef";
  std::string text = "0x00000000";
  for (int i = 0; i < 8; ++i) text[static_cast<std::size_t>(9 - i)] = digits[(mask >> (4 * i)) & 15];
  return text;
}

void check_mask(const Run& run, const Lane& lane, std::uint32_t mask, const char* name, Site site) {
  const Warp& warp = *lane.warp;
  const auto refuse = [&](const char* why, std::uint32_t lanes) {
    fail(message("wrong mask: ", name, " at ", at(site), " of ", where(run, lane), " has mask ", mask_text(mask), why,
                 mask_text(lanes)));
  };
  if (((mask >> lane.lane()) & 1) == 0) refuse(", which does not name the lane that calls: ", 1u << lane.lane());
  if ((mask & ~warp.lanes) != 0) refuse(", which names lanes that the block does not have: ", mask & ~warp.lanes);
  if ((mask & warp.done) != 0) refuse(", which names lanes that have returned (exited thread): ", mask & warp.done);
}

// The meeting that this lane joins, a new one if none of its mask is on.
Meeting& join(const Run& run, Lane& lane, std::uint32_t mask, const char* name, Site site) {
  Warp& warp = *lane.warp;
  for (int i = 0; i < warp.meeting_count; ++i) {
    Meeting& meeting = warp.meetings[i];
    if ((meeting.mask & mask) == 0) continue;
    if (meeting.mask != mask || std::strcmp(meeting.name, name) != 0) {
      fail(message("wrong mask: ", where(run, lane), " comes to ", name, " at ", at(site), " with mask ",
                   mask_text(mask), ", others of its warp to ", meeting.name, " at ", at(meeting.site), " with mask ",
                   mask_text(meeting.mask)));
    }
    return meeting;
  }
  Meeting& meeting = warp.meetings[warp.meeting_count++];
  meeting = Meeting{};
  meeting.mask = mask;
  meeting.name = name;
  meeting.site = site;
  return meeting;
}

void join_clocks(Warp& warp, std::uint32_t mask) {
  std::uint32_t latest[kWarpSize] = {};
  for (int lane = 0; lane < kWarpSize; ++lane) {
    if (((mask >> lane) & 1) == 0) continue;
    for (int i = 0; i < kWarpSize; ++i) latest[i] = std::max(latest[i], warp.clock[lane][i]);
  }
  for (int lane = 0; lane < kWarpSize; ++lane) {
    if (((mask >> lane) & 1) == 0) continue;
    std::copy(latest, latest + kWarpSize, warp.clock[lane]);
    ++warp.clock[lane][lane];
  }
}

void perform(const Copy& copy) {
  if (copy.valid > 0) touch(copy.global, copy.valid, Kind::Read, copy.place);
  touch(copy.shared, copy.bytes, Kind::Write, copy.place);
  std::memcpy(copy.shared, copy.global, copy.valid);
  std::memset(copy.shared + copy.valid, 0, copy.bytes - copy.valid);
}

}  // namespace

void collective(std::uint32_t mask, const char* name, Record record, Act act, bool orders_memory, Site site) {
  Run& run = *running;
  Lane& lane = *run.current;
  Warp& warp = *lane.warp;
  check_mask(run, lane, mask, name, site);
  Meeting& meeting = join(run, lane, mask, name, site);
  lane.record = record;
  meeting.records[lane.lane()] = &lane.record;
  meeting.here |= 1u << lane.lane();
  if (meeting.here != mask) {
    lane.waiting = Waiting::Warp;
    lane.site = site;
    return yield();
  }
  trace_exchange(run, warp, name, mask, site);
  if (act != nullptr) act(meeting.records, mask);
  if (orders_memory) join_clocks(warp, mask);
  meeting = warp.meetings[--warp.meeting_count];
  Lane* first = &lane - lane.lane();
  for (int i = 0; i < kWarpSize; ++i) {
    if (i != lane.lane() && ((mask >> i) & 1) != 0) wake(first[i]);
  }
}

void vote(Record* const* records, std::uint32_t mask) {
  unsigned holds = 0;
  for (int i = 0; i < kWarpSize; ++i) {
    if (((mask >> i) & 1) != 0 && records[i]->argument != 0) holds |= 1u << i;
  }
  for (int i = 0; i < kWarpSize; ++i) {
    if (((mask >> i) & 1) != 0) *static_cast<unsigned*>(records[i]->out) = holds;
  }
}

void shuffle_words(Record* const* records, std::uint32_t mask) {
  for (int i = 0; i < kWarpSize; ++i) {
    if (((mask >> i) & 1) == 0) continue;
    const auto& request = *static_cast<const ShuffleRequest*>(records[i]->in);
    const int first = i / request.width * request.width, last = first + request.width - 1;
    int source = i;
    switch (request.kind) {
      case Shuffle::Index: source = first + (request.source & (request.width - 1)); break;
      case Shuffle::Up: source = i - request.source < first ? i : i - request.source; break;
      case Shuffle::Down: source = i + request.source > last ? i : i + request.source; break;
      case Shuffle::Xor: source = (i ^ request.source) > last ? i : i ^ request.source; break;
    }
    if (((mask >> source) & 1) == 0) {
      fail(message("shuffle from nowhere: lane ", i, " reads lane ", source, ", which mask ", mask_text(mask),
                   " does not name"));
    }
    const auto& given = *static_cast<const ShuffleRequest*>(records[source]->in);
    std::memcpy(records[i]->out, given.value, request.bytes);
  }
}

std::uint32_t active_mask() {
  const Warp& warp = *running->current->warp;
  return warp.lanes & ~warp.done;
}

void before_atomic(void* address, unsigned bytes, Site site) {
  step_aside();
  touch(address, bytes, Kind::Atomic, place_of(site));
}

void note_access(const void* address, unsigned bytes, bool write, Site site) {
  touch(address, bytes, write ? Kind::Write : Kind::Read, place_of(site));
}

void copy_async(void* shared, const void* global, unsigned bytes, unsigned valid, Site site) {
  Lane& lane = *running->current;
  lane.copies.push_back(
      Copy{static_cast<char*>(shared), static_cast<const char*>(global), bytes, valid, lane.groups, place_of(site)});
}

void commit_copies() { ++running->current->groups; }

void wait_copies(unsigned groups_left) {
  Lane& lane = *running->current;
  auto ends = lane.copies.begin();  // the copies lie in order of their groups
  while (ends != lane.copies.end() && ends->group + groups_left < lane.groups) perform(*ends++);
  lane.copies.erase(lane.copies.begin(), ends);
}

}  // namespace ranvier::sim
