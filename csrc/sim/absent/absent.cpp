// What stands for the simulator where there is none: no array can be made on device `sim`, so nothing else is asked.
#include "core/error.h"
#include "cuda/ladder/ladder.h"
#include "cuda/table.h"
#include "sim/arrays.h"
#include "sim/report.h"
#include "sim/trace.h"

namespace ranvier {

const CudaLadders& sim_ladders() { throw DeviceError("device 'sim': the simulator needs Linux"); }

const KernelTable& sim_kernels() { throw DeviceError("device 'sim': the simulator needs Linux"); }

namespace sim {

void* allocate(std::size_t) { throw DeviceError("device 'sim': the simulator needs Linux"); }
void deallocate(void*) noexcept {}
MemoryStats memory_stats() { return {}; }
void Window::enter() {}
void Window::leave() noexcept {}

void add_array(const void*, std::uint64_t) { throw DeviceError("device 'sim': the simulator needs Linux"); }
void written_by_host(const void*) {}
void remove_array(const void*) {}

std::mutex& launch_mutex() {
  static std::mutex mutex;
  return mutex;
}
Options& options() {
  static Options instance;
  return instance;
}
void set_line_finder(LineFinder) {}
std::string line_of(const void*) { return {}; }
void clear_trace() {}
std::vector<Line> traced_lines() { return {}; }
std::vector<Seen> traced_requests() { return {}; }
std::vector<Counted> traced_kernels() { return {}; }

}  // namespace sim
}  // namespace ranvier
