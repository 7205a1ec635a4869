#include "core/recording.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/device_memory.h"
#include "core/error.h"
#include "core/live.h"
#include "core/memory_pool.h"
#include "cuda/runtime/graph.h"

namespace ranvier {

thread_local Recording* Recording::current_ = nullptr;

Recording::Recording() : pool_(std::make_shared<MemoryPool>()) {}
Recording::~Recording() = default;

void Recording::begin() {
  if (current_ != nullptr) throw ValueError("recording: this thread is recording already");
  if (begun_) throw ValueError("recording: it has been made already; make a new one");
  begun_ = true;
  current_ = this;
}

void Recording::end() {
  if (current_ == this) current_ = nullptr;
  complete_ = refusal_.empty();
  if (complete_) pool_->keep_for_replay();
}

void Recording::refuse(std::string reason) {
  if (refusal_.empty()) refusal_ = std::move(reason);
  calls_.clear();
  written_.clear();
  if (current_ == this) current_ = nullptr;
}

void Recording::keep_version_of(const std::shared_ptr<Storage>& storage) {
  if (storage->constant) return refuse("an array made from host values is written in place");
  if (storage->pool == pool_) return;  // no tape outlives the step with it
  if (std::find(written_.begin(), written_.end(), storage) == written_.end()) written_.push_back(storage);
}

void Recording::replay(std::vector<Array>& inputs, const std::vector<Array>& sources) {
  if (!complete_) throw ValueError("replay: this recording is not complete");
  if (replaying_.test_and_set()) throw ValueError("replay: another thread replays this recording now");
  struct Clear {
    std::atomic_flag& flag;
    ~Clear() { flag.clear(); }
  } clear{replaying_};
  if (inputs.size() != sources.size()) throw ValueError("replay: other numbers of inputs than recorded");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].bytes() != sources[i].bytes()) throw ValueError("replay: an input has another size than recorded");
    if (inputs[i].raw() == sources[i].raw()) continue;
    copy_bytes(inputs[i].device(), inputs[i].raw(), sources[i].device(), sources[i].raw(), inputs[i].bytes());
  }
  run_calls();
  for (const auto& storage : written_) storage->version++;
}

void Recording::keep_if_live() {
  const bool live = take_live();
  if (calls_.empty()) return;  // refused meanwhile
  Call& call = calls_.back();
  call.repeatable = !live && !on_host(call.device);
}

// --- CUDA graphs -----------------------------------------------------------------------------------------------

// The first replay runs call by call, so that nothing is left to be done once; the second captures. What cannot be
// captured runs call by call for good, and why is told.
void Recording::run_calls() {
  if (++replays_ == 2 && why_no_graphs_.empty()) find_stretches();
  if (stretches_.empty()) return run_calls(0, calls_.size());
  for (Stretch& stretch : stretches_) {
    if (stretch.graph == nullptr && replays_ == 2) capture(stretch);
    if (stretch.graph != nullptr) {
      stretch.graph->launch();
    } else {
      run_calls(stretch.begin, stretch.end);
    }
  }
}

void Recording::run_calls(std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) calls_[i].run();
}

void Recording::find_stretches() {
  bool any = false;
  for (const Call& call : calls_) any = any || (call.repeatable && call.device.kind == DeviceKind::Cuda);
  const char* wanted = std::getenv("RANVIER_CUDA_GRAPHS");
  if (any && wanted != nullptr && std::strcmp(wanted, "0") == 0) {
    why_no_graphs_ = "RANVIER_CUDA_GRAPHS=0";
    any = false;
  }
  for (std::size_t begin = 0, end = 0; any && begin < calls_.size(); begin = end) {
    const Call& first = calls_[begin];
    while (end < calls_.size() && calls_[end].repeatable == first.repeatable &&
           (!first.repeatable || calls_[end].device == first.device)) {
      ++end;
    }
    stretches_.push_back({begin, end, nullptr});
  }
}

void Recording::capture(Stretch& stretch) {
  const Call& first = calls_[stretch.begin];
  if (!first.repeatable || first.device.kind != DeviceKind::Cuda || stretch.end - stretch.begin < 2) return;
  if (!why_no_graphs_.empty()) return;  // once is enough
  try {
    stretch.graph = gpu::Graph::capture(first.device.index, [&] { run_calls(stretch.begin, stretch.end); });
  } catch (const std::exception& error) {
    why_no_graphs_ = error.what();
  }
}

std::vector<bool> Recording::repeatable() const {
  std::vector<bool> found;
  for (const Call& call : calls_) found.push_back(call.repeatable);
  return found;
}

std::size_t Recording::graphs() const {
  std::size_t count = 0;
  for (const Stretch& stretch : stretches_) count += stretch.graph != nullptr;
  return count;
}

std::size_t Recording::captured() const {
  std::size_t count = 0;
  for (const Stretch& stretch : stretches_) count += stretch.graph != nullptr ? stretch.end - stretch.begin : 0;
  return count;
}

std::vector<std::string> Recording::names() const {
  std::vector<std::string> names;
  for (const Call& call : calls_) names.emplace_back(call.name);
  return names;
}

std::size_t Recording::pool_bytes() const { return pool_->reserved(); }

void note_host_read(const char* how) {
  if (Recording* recording = Recording::current()) {
    recording->refuse(message("values are read on the host (", how, ") in the middle of the step"));
  }
}

void note_constant(Array& array) {
  if (Recording::current() != nullptr) array.mark_constant();
}

}  // namespace ranvier
