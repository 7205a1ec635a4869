#include "core/parallel.h"

#include <pthread.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/allocator.h"
#include "core/error.h"

namespace ranvier {
namespace {

constexpr int kMaxThreads = 256;
constexpr auto kSpinTime = std::chrono::microseconds(300);

thread_local bool t_inside_parallel = false;

inline void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// One range in flight. Chunks are claimed with an atomic counter, the caller helps.
struct Job {
  RangeBody body = nullptr;
  void* context = nullptr;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t chunk = 1;
  std::atomic<int64_t> next{0};
  std::mutex failure_mutex;
  std::exception_ptr failure;  // the first exception of a chunk (out of memory), rethrown on the caller

  void work() noexcept {
    try {
      for (;;) {
        const int64_t from = next.fetch_add(chunk, std::memory_order_relaxed);
        if (from >= end) return;
        body(from, from + chunk < end ? from + chunk : end, context);
      }
    } catch (...) {
      next.store(end, std::memory_order_relaxed);
      std::lock_guard<std::mutex> lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  }
};

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { worker_loop(); });
  }

  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_.store(true);
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(int64_t begin, int64_t end, int64_t chunk, RangeBody body, void* context) {
    job_.body = body;
    job_.context = context;
    job_.begin = begin;
    job_.end = end;
    job_.chunk = chunk;
    job_.next.store(begin, std::memory_order_relaxed);
    running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_seq_cst);  // publishes the job to spinning workers
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
      {
        std::lock_guard<std::mutex> lock(mutex_);
      }  // a worker about to sleep has seen the generation
      wake_.notify_all();
    }
    t_inside_parallel = true;
    job_.work();
    t_inside_parallel = false;
    while (running_.load(std::memory_order_acquire) > 0) pause_briefly();
    if (job_.failure) std::rethrow_exception(std::exchange(job_.failure, nullptr));
  }

 private:
  void worker_loop() {
    t_inside_parallel = true;  // whatever runs here is nested
    uint64_t seen = 0;
    for (;;) {
      seen = wait_for_work(seen);
      if (stopping_.load()) return;
      job_.work();
      running_.fetch_sub(1, std::memory_order_release);
    }
  }

  uint64_t wait_for_work(uint64_t seen) {
    const auto deadline = std::chrono::steady_clock::now() + kSpinTime;
    for (int i = 0;; ++i) {
      const uint64_t now = generation_.load(std::memory_order_acquire);
      if (now != seen) return now;
      pause_briefly();
      if (i % 64 == 63 && std::chrono::steady_clock::now() > deadline) break;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    wake_.wait(lock, [&] { return generation_.load(std::memory_order_seq_cst) != seen; });
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
    return generation_.load(std::memory_order_acquire);
  }

  Job job_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> running_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
};

// The pool in use and the lock that says who uses it; both leaked on fork, where the workers are gone.
struct PoolState {
  std::mutex in_use;
  std::unique_ptr<Pool> pool;
  int threads = 0;  // wanted
};

PoolState* g_state = nullptr;
std::once_flag g_once;

void forget_pool_after_fork() {
  const int threads = g_state->threads;
  g_state = new PoolState;  // the old one's threads and locks belong to the parent
  g_state->threads = threads;
  t_inside_parallel = false;
}

PoolState& state() {
  std::call_once(g_once, [] {
    g_state = new PoolState;
    g_state->threads = default_num_threads();
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
    if (*end == '\0' && threads >= 1) return clamp_threads(threads);
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

int num_threads() {
  PoolState& pool_state = state();
  return pool_state.threads;
}

void set_num_threads(int threads) {
  if (threads < 1) throw ValueError(message("set_num_threads: threads must be 1 or more but is ", threads));
  PoolState& pool_state = state();
  std::lock_guard<std::mutex> lock(pool_state.in_use);
  pool_state.threads = clamp_threads(threads);
  if (pool_state.pool && pool_state.pool->threads() != pool_state.threads) pool_state.pool.reset();
}

void parallel_for(int64_t begin, int64_t end, int64_t grain, RangeBody body, void* context) {
  const int64_t length = end - begin;
  if (length <= 0) return;
  if (grain < 1) grain = 1;
  PoolState& pool_state = state();
  if (t_inside_parallel || length <= grain || pool_state.threads == 1) return body(begin, end, context);
  std::unique_lock<std::mutex> lock(pool_state.in_use, std::try_to_lock);
  if (!lock.owns_lock()) return body(begin, end, context);

  if (!pool_state.pool) pool_state.pool = std::make_unique<Pool>(pool_state.threads);
  // Four chunks a thread even out uneven work without much claiming.
  const int64_t pieces = 4 * static_cast<int64_t>(pool_state.threads);
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
