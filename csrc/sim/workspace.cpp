// The host side of kernels on the simulator: what csrc/cuda/launch.h asks for. Device memory is host memory that the
// simulator has been told of.
#include <cstring>

#include "core/live.h"
#include "cuda/launch.h"
#include "sim/arrays.h"

namespace ranvier::on_sim {

void* current_stream() { return nullptr; }

Workspace::Workspace(std::size_t bytes) : data_(sim::allocate(bytes)), bytes_(bytes) { sim::add_array(data_, bytes); }

Workspace::Workspace(const void* from_host, std::size_t bytes) : Workspace(bytes) {
  note_live();
  {
    const sim::Window open;
    std::memcpy(data_, from_host, bytes);
  }
  sim::written_by_host(data_);
}

Workspace::~Workspace() {
  sim::remove_array(data_);
  sim::deallocate(data_);
}

void Workspace::to_host(void* to, std::size_t bytes) const {
  note_live();
  const sim::Window open;
  std::memcpy(to, data_, bytes);
}

}  // namespace ranvier::on_sim
