#include "core/kernel_table.h"

#include <atomic>
#include <cstdlib>

#include "core/error.h"
#include "core/own_kernels.h"

namespace ranvier {

#ifdef RANVIER_HAVE_BASELINE
namespace baseline {
extern const KernelTable kernel_table;
}
#endif
#ifdef RANVIER_HAVE_AVX2
namespace avx2 {
extern const KernelTable kernel_table;
}
#endif
#ifdef RANVIER_HAVE_AVX512
namespace avx512 {
extern const KernelTable kernel_table;
}
#endif

namespace {

struct Entry {
  const char* name;
  const KernelTable* table;
  bool (*usable)();
};

[[maybe_unused]] bool always() { return true; }
#if defined(__x86_64__)
[[maybe_unused]] bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
[[maybe_unused]] bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
#endif

// From the best to the one that runs everywhere.
const Entry kEntries[] = {
#ifdef RANVIER_HAVE_AVX512
    {"avx512", &avx512::kernel_table, has_avx512},
#endif
#ifdef RANVIER_HAVE_AVX2
    {"avx2", &avx2::kernel_table, has_avx2},
#endif
#ifdef RANVIER_HAVE_BASELINE
    {"baseline", &baseline::kernel_table, always},
#endif
};

const Entry* find(const std::string& name) {
  for (const Entry& entry : kEntries) {
    if (name == entry.name && entry.usable()) return &entry;
  }
  return nullptr;
}

[[noreturn]] void refuse(const std::string& name) {
  std::string usable;
  for (const std::string& isa : usable_isas()) usable += (usable.empty() ? "" : ", ") + isa;
  throw ValueError(message("instruction set '", name, "' is not built or not supported here; usable: ", usable));
}

const Entry* choose() {
  if (const char* forced = std::getenv("RANVIER_ISA"); forced != nullptr && *forced != '\0') {
    if (const Entry* entry = find(forced)) return entry;
    refuse(forced);
  }
  for (const Entry& entry : kEntries) {
    if (entry.usable()) return &entry;
  }
  throw DeviceError("this build has no kernels for this processor; rebuild with -DRANVIER_ISAS=baseline");
}

std::atomic<const Entry*> g_chosen{nullptr};

const Entry& chosen() {
  const Entry* entry = g_chosen.load(std::memory_order_acquire);
  if (entry == nullptr) {
    entry = choose();
    g_chosen.store(entry, std::memory_order_release);
  }
  return *entry;
}

}  // namespace

const KernelTable& cpu_kernels() { return *with_own_kernels(chosen().table, DeviceKind::Cpu); }
std::string chosen_isa() { return chosen().name; }

std::vector<std::string> built_isas() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) names.emplace_back(entry.name);
  return names;
}

std::vector<std::string> usable_isas() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) {
    if (entry.usable()) names.emplace_back(entry.name);
  }
  return names;
}

void set_isa(const std::string& name) {
  const Entry* entry = find(name);
  if (entry == nullptr) refuse(name);
  g_chosen.store(entry, std::memory_order_release);
}

}  // namespace ranvier
