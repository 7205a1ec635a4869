// csrc/cuda/runtime on a CUDA that does everything as late as it may. Prints what is wrong, "ok" where nothing is.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/live.h"
#include "cuda/runtime/graph.h"
#include "cuda/runtime/status.h"

#define RANVIER_GPU on_cuda
#include "cuda/workspace.h"

using namespace ranvier;

extern cudaError_t fake_failure;
extern int fake_host_allocations;
extern int fake_graphs;

namespace {

#define CHECK(condition)                                                \
  do {                                                                  \
    if (!(condition)) {                                                 \
      std::printf("line %d: %s does not hold\n", __LINE__, #condition); \
      std::exit(1);                                                     \
    }                                                                   \
  } while (false)

template <typename Error, typename Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

using Values = std::vector<unsigned char>;

Values on_host(int device, const void* data, std::size_t bytes) {
  Values values(bytes);
  gpu::copy_to_host(device, values.data(), data, bytes);
  return values;
}

void* filled(int device, std::size_t bytes, unsigned char value) {
  void* data = gpu::allocate(device, bytes);
  const Values values(bytes, value);  // goes at once: the copy may not depend on it
  gpu::copy_to_device(device, data, values.data(), bytes);
  return data;
}

void many_copies() {
  struct Live {
    void* data;
    std::size_t bytes;
    unsigned char value;
  };
  std::vector<Live> live;
  for (unsigned i = 0; i < 3000; ++i) {
    const std::size_t bytes = i % 50 == 0 ? 1500000 : 1 + (i * 7919) % 5000;
    live.push_back({filled(0, bytes, static_cast<unsigned char>(i)), bytes, static_cast<unsigned char>(i)});
    if (live.size() > 20) {
      const std::size_t at = (i * 31) % live.size();
      if (i % 3 == 0) CHECK(on_host(0, live[at].data, live[at].bytes) == Values(live[at].bytes, live[at].value));
      gpu::deallocate(0, live[at].data);
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  for (const Live& l : live) {
    CHECK(on_host(0, l.data, l.bytes) == Values(l.bytes, l.value));
    gpu::deallocate(0, l.data);
  }
  CHECK(gpu::memory_stats(0).in_use == 0);
  CHECK(fake_host_allocations < 40);  // pinned memory is used again
}

void two_streams() {
  const gpu::Handle side = gpu::new_stream(0), own = gpu::current_stream(0);
  CHECK(side != own);
  for (int i = 0; i < 200; ++i) {
    const auto value = static_cast<unsigned char>(i);
    void* x = filled(0, 3000, value);
    gpu::wait_for_stream(0, side, own);
    CHECK(gpu::use_stream(0, side) == 0);
    void* y = gpu::allocate(0, 3000);
    gpu::copy_between(0, y, 0, x, 3000);
    CHECK(gpu::use_stream(0, 0) == side);
    gpu::deallocate(0, x);
    void* z = filled(0, 3000, 255);
    gpu::synchronize_stream(0, own);
    gpu::synchronize_stream(0, side);
    CHECK(on_host(0, y, 3000) == Values(3000, value));
    gpu::deallocate(0, y);
    gpu::deallocate(0, z);
  }
  gpu::free_stream(0, side);
  CHECK(gpu::new_stream(0) == side);
}

void two_devices() {
  void* x = filled(0, 1000, 7);
  void* y = filled(1, 1000, 9);
  gpu::copy_between(1, y, 0, x, 1000);
  gpu::zero(0, x, 1000);  // after the copy
  CHECK(on_host(0, x, 1000) == Values(1000, 0));
  CHECK(on_host(1, y, 1000) == Values(1000, 7));
  int device = -1;
  cudaGetDevice(&device);
  CHECK(device == 0);  // every guard has put it back
  gpu::deallocate(0, x);
  gpu::deallocate(1, y);
  CHECK(has(error_of<DeviceError>([] { gpu::require(2); }), "'cuda:2' is not available: there are 2 GPUs"));
}

void out_of_memory() {
  std::vector<void*> all;
  const std::string said = error_of<OutOfMemory>([&] {
    for (int i = 0; i < 100; ++i) all.push_back(gpu::allocate(0, 12 << 20));
  });
  CHECK(has(said, "out of memory on cuda:0: 12582912 bytes asked for"));
  CHECK(!all.empty());
  for (void* data : all) gpu::deallocate(0, data);
  void* large = gpu::allocate(0, 50 << 20);  // what was cached in other pieces goes back first
  gpu::deallocate(0, large);
  gpu::release_cached_memory(0);
  CHECK(gpu::memory_stats(0).reserved == 0);
  CHECK(has(error_of<OutOfMemory>([] { gpu::allocate(0, SIZE_MAX); }), "bytes asked for"));
}

void failures() {
  const char* name =
      "void ranvier::launch(...) [with auto Kernel = ranvier::on_cuda::{anonymous}::activate<float>; A = {}]";
  CHECK(has(error_of<DeviceError>([&] { gpu::launched(name, cudaErrorInvalidConfiguration, nullptr); }),
            "kernel activate<float> failed"));
  gpu::launched(name, cudaSuccess, nullptr);
  fake_failure = cudaErrorIllegalAddress;
  const std::string said = error_of<DeviceError>([] { gpu::synchronize(0); });
  CHECK(has(said, "an illegal access") && has(said, "activate<float>"));
}

void workspaces() {
  Values values(500, 3);
  const on_cuda::Workspace copy(values.data(), values.size()), none(0);
  values.assign(500, 4);
  copy.to_host(values.data(), values.size());
  CHECK(values == Values(500, 3));
  CHECK(on_cuda::current_stream() == reinterpret_cast<void*>(gpu::current_stream(0)));
}

// y = x, by way of memory that the captured calls ask for; everything else that is handed out meanwhile is written to.
void graphs() {
  void* x = filled(0, 2000, 1);
  void* y = filled(0, 2000, 0);
  const auto before = gpu::memory_stats(0).in_use;
  take_live();
  auto graph = gpu::Graph::capture(0, [&] {
    const on_cuda::Workspace first(2000);
    gpu::copy_between(0, first.as<void>(), 0, x, 2000);
    gpu::deallocate(0, gpu::allocate(0, 100));
    const on_cuda::Workspace second(2000);
    CHECK(second.as<void>() != first.as<void>());
    gpu::copy_between(0, second.as<void>(), 0, first.as<void>(), 2000);
    gpu::copy_between(0, y, 0, second.as<void>(), 2000);
  });
  CHECK(!take_live());                            // nothing by the host: such calls may be captured
  CHECK(on_host(0, y, 2000) == Values(2000, 0));  // captured, not run
  CHECK(take_live());
  for (unsigned char value = 2; value < 60; ++value) {
    const Values values(2000, value);
    gpu::copy_to_device(0, x, values.data(), values.size());
    graph->launch();
    void* other = filled(0, 2000, 255);  // were the graph's memory in the cache, this would be it
    graph->launch();
    CHECK(on_host(0, y, 2000) == values);
    CHECK(on_host(0, other, 2000) == Values(2000, 255));
    gpu::deallocate(0, other);
  }
  CHECK(gpu::memory_stats(0).in_use > before);
  graph->launch();
  graph.reset();  // under way
  CHECK(gpu::memory_stats(0).in_use == before && fake_graphs == 0);
  const std::string said = error_of<DeviceError>([&] {
    gpu::Graph::capture(0, [&] {
      const on_cuda::Workspace some(2000);
      gpu::zero(0, y, 2000);
      gpu::synchronize_stream(0, gpu::current_stream(0));
    });
  });
  CHECK(has(said, "waiting for a stream"));
  CHECK(gpu::memory_stats(0).in_use == before && fake_graphs == 0);
  CHECK(on_host(0, y, 2000) == Values(2000, 59));
  gpu::deallocate(0, x);
  gpu::deallocate(0, y);
}

}  // namespace

int main() {
  if (!gpu::why_not().empty()) {
    std::printf("%s\n", gpu::why_not().c_str());
    return 0;
  }
  many_copies();
  two_streams();
  two_devices();
  out_of_memory();
  workspaces();
  graphs();
  failures();
  std::printf("ok\n");
}
