// The stream that kernels are launched on, and memory for the time of a call. RANVIER_GPU names whose: cuda.h.
#pragma once

#include <cstddef>

namespace ranvier {
namespace RANVIER_GPU {

void* current_stream();  // where kernels are launched; the simulator has none

// Memory of the device until the end of the call, from the device's caching allocator. Not initialised, or filled with
// bytes of the host.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes);
  Workspace(const void* from_host, std::size_t bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  void to_host(void* to, std::size_t bytes) const;  // waits for the stream

  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
  std::size_t bytes_;
};

}  // namespace RANVIER_GPU
}  // namespace ranvier
