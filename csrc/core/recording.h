// Recording: the kernel calls of a step as a list that C++ runs again without Python (design §11).
//
// While a thread records, run() (and so dispatch()) executes each body as always and keeps a copy of it. A body
// holds its arrays by value, so the copy would keep every temporary of the step alive. Instead the trick of CUDA
// graphs: arrays made while recording live in the recording's own memory pool, the copies only remember their
// addresses, and memory that the step gave back is used again later in the same step, as it was in eager mode.
// Arrays from before (weights, inputs, optimizer state) are held.
//
// What a list of calls cannot repeat is refused, with a reason: reading values on the host, above all.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/array.h"
#include "core/live.h"

namespace ranvier {

namespace gpu {
class Graph;
}

class Recording {
 public:
  Recording();
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  // The recording that this thread is making, or nullptr.
  static Recording* current() { return current_; }

  void begin();  // throws ValueError if this thread is recording, or this recording has begun before
  void end();
  void refuse(std::string reason);  // from here on nothing is kept; the step itself goes on
  const std::string& refusal() const { return refusal_; }

  template <typename Body>
  void keep(const char* name, Device device, const Body& body) {
    const Borrowing borrowing(pool_.get());
    calls_.push_back({name, body, device, false});
  }
  void keep_if_live();  // of the call kept last, which has just run
  void keep_version_of(const std::shared_ptr<Storage>& storage);

  // Copies each source into its input (skipping those that are it), then runs the calls. Throws ValueError if the
  // recording is not complete, another thread replays it now, or a source does not fit.
  void replay(std::vector<Array>& inputs, const std::vector<Array>& sources);

  std::vector<std::string> names() const;
  std::vector<bool> repeatable()
      const;                     // which calls a CUDA graph could hold: on a GPU (or `sim`), nothing by the host
  std::size_t graphs() const;    // that there are by now
  std::size_t captured() const;  // calls inside of them
  const std::string& why_no_graphs() const { return why_no_graphs_; }
  std::size_t pool_bytes() const;
  const std::shared_ptr<MemoryPool>& pool() const { return pool_; }

  // A stretch that is not recorded: values that come from the host are constants of the recording, with memory
  // of their own.
  class Pause {
   public:
    Pause() : outer_(current_) { current_ = nullptr; }
    ~Pause() { current_ = outer_; }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    Recording* outer_;
  };

 private:
  struct Call {
    const char* name;
    std::function<void()> run;
    Device device;
    bool repeatable;
  };
  // Calls in a row that a graph may hold, or that are run one by one.
  struct Stretch {
    std::size_t begin, end;
    std::unique_ptr<gpu::Graph> graph;
  };

  void run_calls();
  void run_calls(std::size_t begin, std::size_t end);
  void find_stretches();
  void capture(Stretch& stretch);

  static thread_local Recording* current_;

  std::shared_ptr<MemoryPool> pool_;
  std::vector<Call> calls_;
  std::vector<Stretch> stretches_;  // of all calls; found, and captured, with the second replay
  int64_t replays_ = 0;
  std::string why_no_graphs_;
  std::vector<std::shared_ptr<Storage>> written_;  // arrays from before that the step writes: their versions rise
  std::string refusal_;
  bool begun_ = false;
  bool complete_ = false;
  std::atomic_flag replaying_ = ATOMIC_FLAG_INIT;
};

// Runs body(), once now and again whenever the recording that is being made is replayed. It must hold what it
// needs by value.
template <typename Body>
void run(const char* name, Device device, Body&& body) {
  Recording* recording = Recording::current();
  if (recording == nullptr) return body();
  recording->keep(name, device, body);
  take_live();
  body();
  recording->keep_if_live();
}

// The same for what is not known to be a device's work alone.
template <typename Body>
void run(const char* name, Body&& body) {
  run(name, Device{}, std::forward<Body>(body));
}

// Called where the host looks into an array: a recording cannot repeat what Python does with the values.
void note_host_read(const char* how);

// Marks an array whose values come from the host: a constant of the recording being made.
void note_constant(Array& array);

}  // namespace ranvier
