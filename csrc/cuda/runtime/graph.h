// A CUDA graph: launches and copies that were captured instead of run, to be run with one call. It holds addresses, so
// memory that the captured calls ask for is the graph's own for as long as it lives.
#pragma once

#include <functional>
#include <memory>

namespace ranvier::gpu {

class Graph {
 public:
  Graph() = default;
  virtual ~Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // What `calls` gives to the device's current stream; none of it runs. Throws DeviceError for what cannot be captured.
  static std::unique_ptr<Graph> capture(int device, const std::function<void()>& calls);
  virtual void launch() = 0;  // on the device's current stream
};

}  // namespace ranvier::gpu
