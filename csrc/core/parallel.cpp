#include "core/parallel.h"

#include <pthread.h>
#include <signal.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/allocator.h"
#include "core/error.h"

namespace ranvier {
namespace {

constexpr int kMaxThreads = 256;
constexpr auto kSpinTime = std::chrono::microseconds(300);
constexpr int kSpinsBeforeYield = 1000;

thread_local bool t_inside_parallel = false;

inline void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// Chunks that one thread claims first, with an atomic counter.
struct alignas(64) Share {
  std::atomic<int64_t> next{0};
  int64_t end = 0;
};

// One range in flight. Each thread has a share of its chunks, the same in the next call over as many, which then finds
// in the thread's own cache what this one left there; whoever has finished helps the others.
struct Job {
  RangeBody body = nullptr;
  void* context = nullptr;
  int64_t shares = 1;
  int64_t chunk = 1;
  std::array<Share, kMaxThreads> share;
  std::mutex failure_mutex;
  std::exception_ptr failure;  // the first exception of a chunk (out of memory), rethrown on the caller

  void divide(int64_t begin, int64_t end, int64_t threads) {
    const int64_t chunks = (end - begin + chunk - 1) / chunk;
    shares = threads;
    for (int64_t i = 0; i < shares; ++i) {
      share[i].next.store(begin + chunks * i / shares * chunk, std::memory_order_relaxed);
      share[i].end = i + 1 < shares ? begin + chunks * (i + 1) / shares * chunk : end;
    }
  }

  void work(int64_t thread) noexcept {
    try {
      for (int64_t i = 0; i < shares; ++i) finish(share[(thread + i) % shares]);
    } catch (...) {
      for (int64_t i = 0; i < shares; ++i) share[i].next.store(share[i].end, std::memory_order_relaxed);
      std::lock_guard<std::mutex> lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  }

  void finish(Share& own) const {
    while (own.next.load(std::memory_order_relaxed) < own.end) {
      const int64_t from = own.next.fetch_add(chunk, std::memory_order_relaxed);
      if (from >= own.end) return;
      body(from, from + chunk < own.end ? from + chunk : own.end, context);
    }
  }
};

// What workers watch, in one word: how many of them are inside the job (the low bits), whether the job is
// open, and its number. A worker enters by compare-and-swap, so only while the job that it has seen is open;
// the caller closes the job and waits for those inside alone. A worker that wakes late finds it closed, and
// is waited for by nobody.
constexpr uint64_t kInside = 1;
constexpr uint64_t kOpen = uint64_t{1} << 16;
constexpr uint64_t kNextJob = uint64_t{1} << 17;

uint64_t number_inside(uint64_t state) { return state & (kOpen - 1); }
uint64_t job_number(uint64_t state) { return state / kNextJob; }

class Pool {
 public:
  explicit Pool(int threads) {
    // Signals are for Python's threads: a blocking call of theirs must be interrupted, not one of ours.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
#if defined(__linux__)
    if (sched_getaffinity(0, sizeof(allowed_), &allowed_) != 0) CPU_ZERO(&allowed_);
#endif
    try {
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { worker_loop(i); });
    } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
      // The system gives no more threads: work with those that there are.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  ~Pool() {
    stopping_.store(true);
    publish(0);
    for (std::thread& worker : workers_) worker.join();
  }

  void run(int64_t begin, int64_t end, int64_t chunk, RangeBody body, void* context) {
    job_.body = body;
    job_.context = context;
    job_.chunk = chunk;
    job_.divide(begin, end, static_cast<int64_t>(workers_.size()) + 1);
    publish(kOpen);
    t_inside_parallel = true;
    job_.work(0);
    t_inside_parallel = false;
    state_.fetch_and(~kOpen, std::memory_order_acq_rel);
    for (int i = 0; number_inside(state_.load(std::memory_order_acquire)) > 0; ++i) {
      if (i < kSpinsBeforeYield) {
        pause_briefly();
      } else {
        std::this_thread::yield();  // more threads than processors: let the last chunk be finished
      }
    }
    if (job_.failure) std::rethrow_exception(std::exchange(job_.failure, nullptr));
  }

 private:
  // The next job: everything written before is seen by the workers that enter it. Nobody is inside here.
  // Either a worker that is going to sleep sees the new number, or we see the sleeper (both orders are
  // sequentially consistent); the lock waits until such a worker has begun to wait.
  void publish(uint64_t open) {
    const uint64_t number = job_number(state_.load(std::memory_order_relaxed)) + 1;
    state_.store(number * kNextJob | open, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
    keep_workers_off_this_cpu();
    {
      std::lock_guard<std::mutex> lock(mutex_);
    }
    wake_.notify_all();
  }

  // The system likes to wake a thread where the waking one runs, and leaves it there for milliseconds: both would take
  // turns while another processor idles.
  void keep_workers_off_this_cpu() {
#if defined(__linux__)
    const int cpu = sched_getcpu();
    if (cpu < 0 || cpu == avoided_cpu_) return;
    cpu_set_t others = allowed_;
    CPU_CLR(static_cast<std::size_t>(cpu), &others);
    if (CPU_COUNT(&others) == 0) return;
    for (std::thread& worker : workers_) pthread_setaffinity_np(worker.native_handle(), sizeof(others), &others);
    avoided_cpu_ = cpu;
#endif
  }

  void worker_loop(int64_t thread) {
    t_inside_parallel = true;  // whatever runs here is nested
    uint64_t seen = 0;
    for (;;) {
      seen = wait_for_work(seen);
      if (stopping_.load()) return;
      if (!enter(seen)) continue;
      job_.work(thread);
      state_.fetch_sub(kInside, std::memory_order_release);
    }
  }

  bool enter(uint64_t number) {
    uint64_t state = state_.load(std::memory_order_relaxed);
    while (job_number(state) == number && (state & kOpen) != 0) {
      if (state_.compare_exchange_weak(state, state + kInside, std::memory_order_acquire)) return true;
    }
    return false;
  }

  // The number of the current job, once it is another than `seen`.
  uint64_t wait_for_work(uint64_t seen) {
    const auto deadline = std::chrono::steady_clock::now() + kSpinTime;
    for (int i = 0;; ++i) {
      const uint64_t number = job_number(state_.load(std::memory_order_acquire));
      if (number != seen) return number;
      pause_briefly();
      if (i % 64 == 63 && std::chrono::steady_clock::now() > deadline) break;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    wake_.wait(lock, [&] { return job_number(state_.load(std::memory_order_seq_cst)) != seen; });
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
    return job_number(state_.load(std::memory_order_acquire));
  }

#if defined(__linux__)
  cpu_set_t allowed_;     // what the process may use
  int avoided_cpu_ = -1;  // where no worker may run: the caller's, when it last woke one
#endif
  Job job_;
  std::atomic<uint64_t> state_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
};

// The pool in use and the lock that says who uses it; both leaked on fork, where the workers are gone, and
// at exit, where they may sleep on.
struct PoolState {
  explicit PoolState(int wanted) : threads(wanted) {}
  std::mutex in_use;
  std::unique_ptr<Pool> pool;
  int pool_size = 0;  // what the pool was asked for
  std::atomic<int> threads;
};

PoolState* g_state = nullptr;
std::once_flag g_once;

void forget_pool_after_fork() {
  g_state = new PoolState(g_state->threads);  // the old one's threads and locks belong to the parent
  t_inside_parallel = false;
}

PoolState& state() {
  std::call_once(g_once, [] {
    g_state = new PoolState(default_num_threads());
    pthread_atfork(nullptr, nullptr, forget_pool_after_fork);
  });
  return *g_state;
}

int clamp_threads(long threads) {
  return threads < 1 ? 1 : static_cast<int>(threads > kMaxThreads ? kMaxThreads : threads);
}

// CPUs by cgroup v2 quota ("max 100000" or "150000 100000"), rounded up; 0 where there is none.
int cgroup_cpus() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  const double cpus = std::strtod(quota.c_str(), nullptr) / period;
  return cpus > 0 ? static_cast<int>(cpus + 0.999) : 0;
}

}  // namespace

int default_num_threads() {
  if (const char* forced = std::getenv("RANVIER_NUM_THREADS"); forced != nullptr && *forced != '\0') {
    char* end = nullptr;
    const long threads = std::strtol(forced, &end, 10);
    if (*end == '\0' && threads >= 1 && threads <= kMaxThreads) return static_cast<int>(threads);
    throw ValueError(message("RANVIER_NUM_THREADS is '", forced, "'; expected a whole number from 1 to ", kMaxThreads));
  }
  long cpus = static_cast<long>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) cpus = CPU_COUNT(&allowed);
#endif
  const int quota = cgroup_cpus();
  if (quota > 0 && quota < cpus) cpus = quota;
  return clamp_threads(cpus);
}

int num_threads() { return state().threads; }

void set_num_threads(int threads) {
  if (threads < 1 || threads > kMaxThreads) {
    throw ValueError(message("set_num_threads: threads must be from 1 to ", kMaxThreads, " but is ", threads));
  }
  PoolState& pool_state = state();
  std::lock_guard<std::mutex> lock(pool_state.in_use);
  pool_state.threads = threads;
  if (pool_state.pool_size != threads) {
    pool_state.pool.reset();
    pool_state.pool_size = 0;
  }
}

void parallel_for(int64_t begin, int64_t end, int64_t grain, RangeBody body, void* context) {
  const int64_t length = end - begin;
  if (length <= 0) return;
  if (grain < 1) grain = 1;
  PoolState& pool_state = state();
  if (t_inside_parallel || length <= grain || pool_state.threads == 1) return body(begin, end, context);
  std::unique_lock<std::mutex> lock(pool_state.in_use, std::try_to_lock);
  if (!lock.owns_lock()) return body(begin, end, context);

  if (!pool_state.pool) {
    pool_state.pool_size = pool_state.threads;
    pool_state.pool = std::make_unique<Pool>(pool_state.pool_size);
  }
  // Four chunks a thread even out uneven work without much claiming.
  const int64_t pieces = 4 * static_cast<int64_t>(pool_state.pool_size);
  int64_t chunk = (length + pieces - 1) / pieces;
  if (chunk < grain) chunk = grain;
  pool_state.pool->run(begin, end, chunk, body, context);
}

namespace {

struct Scratch {
  void* data[kScratchSlots] = {};
  std::size_t bytes[kScratchSlots] = {};
  ~Scratch() {
    for (int slot = 0; slot < kScratchSlots; ++slot) {
      if (data[slot] != nullptr) deallocate(data[slot], bytes[slot]);
    }
  }
};

thread_local Scratch t_scratch;

}  // namespace

void* thread_scratch(ScratchSlot slot, std::size_t bytes) {
  if (t_scratch.bytes[slot] < bytes || t_scratch.data[slot] == nullptr) {
    void* fresh = allocate(bytes);
    if (t_scratch.data[slot] != nullptr) deallocate(t_scratch.data[slot], t_scratch.bytes[slot]);
    t_scratch.data[slot] = fresh;
    t_scratch.bytes[slot] = bytes;
  }
  return t_scratch.data[slot];
}

}  // namespace ranvier
