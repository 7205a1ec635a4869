#include "core/recording.h"

#include <algorithm>

#include "core/device_memory.h"
#include "core/error.h"
#include "core/memory_pool.h"

namespace ranvier {

thread_local Recording* Recording::current_ = nullptr;

Recording::Recording() : pool_(std::make_shared<MemoryPool>()) {}

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
  for (Call& call : calls_) call.run();
  for (const auto& storage : written_) storage->version++;
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
