// CUDA's run-time without a GPU, as slow as it may be: a stream does nothing until somebody waits for it (or asks, when
// it may do one thing more). So memory that is used again too early shows as wrong values.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

struct CUgraph_st {
  std::vector<std::function<void()>> work;
  bool broken = false;
};
struct CUgraphExec_st {
  std::shared_ptr<CUgraph_st> graph;
};
struct CUstream_st {
  std::deque<std::function<void()>> queue;
  long given = 0, done = 0;
  std::unique_ptr<CUgraph_st> captured;  // where what is given goes while there is one
  void step() {
    const auto next = queue.front();
    queue.pop_front();
    next();
    ++done;
  }
  void reach(long ticket) {
    while (done < ticket) step();
  }
  void push(std::function<void()> work) {
    if (captured) return captured->work.push_back(std::move(work));
    queue.push_back(std::move(work));
    ++given;
  }
};
struct CUevent_st {
  cudaStream_t stream = nullptr;
  long ticket = 0;
};

cudaError_t fake_failure = cudaSuccess;  // what the next wait finds
std::size_t fake_memory = std::size_t{64} << 20;
int fake_host_allocations = 0;
int fake_graphs = 0;  // that nobody has destroyed, ready to run or not

namespace {

std::map<void*, std::size_t> memory, pinned;
std::map<cudaStream_t, bool> streams;
unsigned coin = 12345;
int current = 0;

std::size_t taken() {
  std::size_t sum = 0;
  for (const auto& [data, bytes] : memory) sum += bytes;
  return sum;
}

bool is_pinned(const void* p) {
  auto next = pinned.upper_bound(const_cast<void*>(p));
  if (next == pinned.begin()) return false;
  --next;
  return static_cast<const char*>(p) < static_cast<char*>(next->first) + next->second;
}

int setting(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

cudaError_t waited() {
  const cudaError_t found = fake_failure;
  fake_failure = cudaSuccess;
  return found;
}

bool ready(cudaStream_t stream, long ticket) {
  coin = coin * 1664525u + 1013904223u;
  if ((coin >> 16) % 4 == 0 && !stream->queue.empty()) stream->step();
  return stream->done >= ticket;
}

}  // namespace

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) { return *version = setting("FAKE_DRIVER", 13000), cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = setting("FAKE_DEVICES", 2);
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr what, int) {
  *value = what == cudaDevAttrComputeCapabilityMajor ? setting("FAKE_MAJOR", 9) : 0;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  std::strcpy(p->name, "no GPU at all");
  p->major = 9;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = fake_memory;
  *free = fake_memory - taken();
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) { return *device = current, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return current = device, cudaSuccess; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorIllegalAddress ? "an illegal access" : "?";
}

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  if (taken() + bytes > fake_memory) return cudaErrorMemoryAllocation;
  memory[*data = std::malloc(bytes)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  cudaDeviceSynchronize();
  memory.erase(data);
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned) {
  ++fake_host_allocations;
  pinned[*data = std::malloc(bytes)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* data) {
  pinned.erase(data);
  std::free(data);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  streams[*stream = new CUstream_st] = true;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream->captured) return stream->captured->broken = true, cudaErrorStreamCaptureUnsupported;
  return stream->reach(stream->given), waited();
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->captured = std::make_unique<CUgraph_st>();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::unique_ptr<CUgraph_st> captured = std::move(stream->captured);
  if (captured->broken) return *graph = nullptr, cudaErrorStreamCaptureInvalidated;
  *graph = new CUgraph_st(*captured);
  ++fake_graphs;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* run, cudaGraph_t graph, unsigned long long) {
  *run = new CUgraphExec_st{std::make_shared<CUgraph_st>(*graph)};
  return ++fake_graphs, cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, --fake_graphs, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t run) { return delete run, --fake_graphs, cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t run, cudaStream_t stream) {
  for (const auto& work : run->graph->work) stream->push(work);
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return ready(stream, stream->given) ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaDeviceSynchronize() {
  for (auto& [stream, there] : streams) stream->reach(stream->given);
  return waited();
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  stream->push([first = event->stream, ticket = event->ticket] { first->reach(ticket); });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return *event = new CUevent_st, cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  *event = {stream, stream->given};
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return ready(event->stream, event->ticket) ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return event->stream->reach(event->ticket), waited(); }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t, cudaEvent_t) { return *ms = 1.5f, cudaSuccess; }

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  stream->push([=] { std::memcpy(to, from, bytes); });
  const bool pageable =
      (kind == cudaMemcpyHostToDevice && !is_pinned(from)) || (kind == cudaMemcpyDeviceToHost && !is_pinned(to));
  return pageable ? cudaStreamSynchronize(stream) : cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, std::size_t bytes, cudaStream_t stream) {
  stream->push([=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  stream->push([=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

}  // extern "C"

namespace ranvier::on_cuda {
extern const char kernel_table;
const char kernel_table = 0;
extern const char ladders;
const char ladders = 0;
}  // namespace ranvier::on_cuda

namespace ranvier {
enum class DeviceKind : unsigned char;
struct KernelTable;
const KernelTable* with_own_kernels(const KernelTable* base, DeviceKind) { return base; }
}  // namespace ranvier
