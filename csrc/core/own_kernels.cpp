#include "core/own_kernels.h"

#include <dlfcn.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "core/error.h"
#include "core/own_kernel.h"
#include "ops/activation.h"
#include "ops/ceiling.h"
#include "ops/conv2d.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gemm.h"
#include "ops/group_norm.h"
#include "ops/image.h"
#include "ops/ladder.h"
#include "ops/loss.h"
#include "ops/norm.h"
#include "ops/optimizer.h"
#include "ops/pool2d.h"
#include "ops/random.h"
#include "ops/recurrent.h"
#include "ops/reduce.h"
#include "ops/shape.h"
#include "ops/softmax.h"

namespace ranvier {
namespace {

// Every family and its struct, in the order of KernelTable.
#define RANVIER_FAMILIES(X)                 \
  X(activation, PerType<ActivationKernels>) \
  X(ceiling, CeilingKernels)                \
  X(conv2d, PerType<Conv2dKernels>)         \
  X(elementwise, ElementwiseKernels)        \
  X(embedding, EmbeddingKernels)            \
  X(gemm, PerType<GemmKernels>)             \
  X(group_norm, PerType<GroupNormKernels>)  \
  X(image, ImageKernels)                    \
  X(ladder, LadderKernels)                  \
  X(loss, PerType<LossKernels>)             \
  X(norm, PerType<NormKernels>)             \
  X(optimizer, PerType<OptimizerKernels>)   \
  X(pool2d, PerType<Pool2dKernels>)         \
  X(random, RandomKernels)                  \
  X(recurrent, PerType<RecurrentKernels>)   \
  X(reduce, ReduceKernels)                  \
  X(shape, ShapeKernels)                    \
  X(softmax, PerType<SoftmaxKernels>)

// A copy of every family's kernels over those of `base`, and a table of them.
struct OwnTable {
#define RANVIER_MEMBER(family, Kernels) Kernels family;
#define RANVIER_COPY(family, Kernels) family(over->family),
#define RANVIER_REFER(family, Kernels) family,
#define RANVIER_PART(family, Kernels) {#family, {&(family), sizeof(family)}},
  RANVIER_FAMILIES(RANVIER_MEMBER)
  const KernelTable* base;
  KernelTable table;

  explicit OwnTable(const KernelTable* over)
      : RANVIER_FAMILIES(RANVIER_COPY) base(over), table{RANVIER_FAMILIES(RANVIER_REFER)} {}

  // A family's struct and its size; {nullptr, 0} for a name that has none.
  std::pair<void*, std::size_t> part(const std::string& family) {
    const std::map<std::string, std::pair<void*, std::size_t>> parts = {RANVIER_FAMILIES(RANVIER_PART)};
    const auto found = parts.find(family);
    return found == parts.end() ? std::pair<void*, std::size_t>{nullptr, 0} : found->second;
  }
};

std::mutex g_mutex;
struct Used {
  std::string path;
  const OwnKernel* kernel;
  DeviceKind device;
};
std::vector<Used> g_used;
std::atomic<bool> g_enabled{false};

std::map<const KernelTable*, std::unique_ptr<OwnTable>> g_tables;  // by base, made when first asked for
std::vector<std::unique_ptr<OwnTable>> g_retired;                  // another thread may still run their kernels
std::atomic<const OwnTable*> g_latest{nullptr};                    // of g_tables: the one asked for last

// Tables made so far no longer hold what is in use; they are kept, for calls under way.
void retire_tables() {
  g_latest = nullptr;
  for (auto& [base, table] : g_tables) g_retired.push_back(std::move(table));
  g_tables.clear();
}

DeviceKind kind_of(const std::string& device) {  // loaded, too, where there is no such device
  if (device == "cuda") return DeviceKind::Cuda;
  return device == "sim" ? DeviceKind::Sim : DeviceKind::Cpu;
}

}  // namespace

std::string use_kernels(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw ValueError(message("kernels: cannot load ", path, ": ", dlerror()));
  const auto* kernel = static_cast<const OwnKernel*>(dlsym(library, "ranvier_kernel"));
  if (kernel == nullptr) throw ValueError(message("kernels: ", path, " exports no RANVIER_KERNEL"));
  if (std::string(kernel->version) != RANVIER_VERSION) {
    throw ValueError(message("kernels: ", path, " was built for Ranvier ", kernel->version, ", this is ",
                             RANVIER_VERSION, "; build it again"));
  }
  OwnTable trial(&cpu_kernels());
  const auto [part, size] = trial.part(kernel->family);
  if (part == nullptr) throw ValueError(message("kernels: there is no family '", kernel->family, "' to replace"));
  if (size != kernel->size) {
    throw ValueError(message("kernels: ", path, " was built with other headers (", kernel->size,
                             " bytes of kernels for ", kernel->family, ", expected ", size, "); build it again"));
  }
  const auto* device = static_cast<const char*>(dlsym(library, "ranvier_kernel_device"));
  const DeviceKind kind = device == nullptr ? DeviceKind::Cpu : kind_of(device);
  const std::lock_guard<std::mutex> lock(g_mutex);
  g_used.push_back({path, kernel, kind});
  retire_tables();
  g_enabled = true;
  return kernel->family;
}

void reset_kernels() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  g_enabled = false;
  g_used.clear();
  retire_tables();
}

void enable_own_kernels(bool on) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  g_enabled = on && !g_used.empty();
}

std::vector<std::pair<std::string, std::string>> own_kernels() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  std::vector<std::pair<std::string, std::string>> found;
  for (const Used& used : g_used) found.emplace_back(used.kernel->family, used.path);
  return found;
}

const KernelTable* with_own_kernels(const KernelTable* base, DeviceKind device) {
  if (!g_enabled.load(std::memory_order_acquire)) return base;
  const OwnTable* latest = g_latest.load(std::memory_order_acquire);
  if (latest != nullptr && latest->base == base) return &latest->table;
  const std::lock_guard<std::mutex> lock(g_mutex);
  std::unique_ptr<OwnTable>& own = g_tables[base];
  if (!own) {
    own = std::make_unique<OwnTable>(base);
    for (const Used& used : g_used) {
      if (used.device == device) used.kernel->install(own->part(used.kernel->family).first);
    }
  }
  g_latest.store(own.get(), std::memory_order_release);
  return &own->table;
}

}  // namespace ranvier
