#include "cuda/runtime/graph.h"

#include "cuda/runtime/capture.h"
#include "cuda/runtime/status.h"

namespace ranvier::gpu {
namespace {

thread_local CapturedMemory* t_memory = nullptr;  // of the capture under way

class CudaGraph final : public Graph {
 public:
  explicit CudaGraph(int device) : device_(device), memory_(device) {}
  ~CudaGraph() override {
    const OnDevice here({DeviceKind::Cuda, device_});
    if (run_ != nullptr) cudaGraphExecDestroy(run_);  // what was launched goes on
  }

  void capture(const std::function<void()>& calls) {
    const OnDevice here({DeviceKind::Cuda, device_});
    cudaStream_t stream = stream_now(device_);
    // Relaxed: the caches may ask CUDA for memory meanwhile, which is no part of the stream's work.
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "beginning to capture a graph");
    cudaGraph_t graph = nullptr;
    t_memory = &memory_;
    try {
      calls();
    } catch (...) {
      t_memory = nullptr;
      if (cudaStreamEndCapture(stream, &graph) == cudaSuccess && graph != nullptr) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    t_memory = nullptr;
    check(cudaStreamEndCapture(stream, &graph), "capturing a graph");
    const cudaError_t status = cudaGraphInstantiate(&run_, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "making a graph ready to run");
  }

  void launch() override {
    const OnDevice here({DeviceKind::Cuda, device_});
    check(cudaGraphLaunch(run_, stream_now(device_)), "launching a graph");
  }

 private:
  int device_;
  CapturedMemory memory_;
  cudaGraphExec_t run_ = nullptr;
};

}  // namespace

std::unique_ptr<Graph> Graph::capture(int device, const std::function<void()>& calls) {
  auto graph = std::make_unique<CudaGraph>(device);
  graph->capture(calls);
  return graph;
}

// --- memory ----------------------------------------------------------------------------------------------------------

CapturedMemory* captured_memory(int device) {
  return t_memory != nullptr && t_memory->device() == device ? t_memory : nullptr;
}

CapturedMemory::~CapturedMemory() {
  for (const Block& block : blocks_) deallocate(device_, block.pointer);
}

void* CapturedMemory::allocate(std::size_t bytes) {
  Block* best = nullptr;
  for (Block& block : blocks_) {
    if (block.free && block.bytes >= bytes && (best == nullptr || block.bytes < best->bytes)) best = &block;
  }
  if (best == nullptr || best->bytes > 2 * bytes + kSmall) {
    blocks_.reserve(blocks_.size() + 1);
    CapturedMemory* const own = t_memory;
    t_memory = nullptr;  // from the cache
    try {
      blocks_.push_back({gpu::allocate(device_, bytes), bytes, false});
    } catch (...) {
      t_memory = own;
      throw;
    }
    t_memory = own;
    return blocks_.back().pointer;
  }
  best->free = false;
  return best->pointer;
}

bool CapturedMemory::take_back(void* pointer) noexcept {
  for (Block& block : blocks_) {
    if (block.pointer == pointer) return block.free = true;
  }
  return false;
}

}  // namespace ranvier::gpu
