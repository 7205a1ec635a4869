// Where every load and store of a kernel arrives: kernels are compiled with -fsanitize=thread, which calls these
// functions by the names of ThreadSanitizer's run-time library. That library is never linked; these are ours.
//
// Locals whose address never leaves their function are not reported by the compiler, `const` variables neither.
#include <cstddef>
#include <cstdint>

#include "sim/memory.h"
#include "sim/state.h"

namespace {

using ranvier::sim::Kind;

inline void note(const void* address, unsigned bytes, Kind kind, const void* pc) {
  const char* stack = ranvier::sim::running_stack.load(std::memory_order_relaxed);
  const auto offset = static_cast<const char*>(__builtin_frame_address(0)) - stack;
  if (stack == nullptr || offset < 0 || offset >= static_cast<std::ptrdiff_t>(ranvier::sim::kStackBytes)) return;
  ranvier::sim::touch(address, bytes, kind, pc);
}

}  // namespace

#define RANVIER_HOOK extern "C" __attribute__((visibility("default"))) void
#define RANVIER_PC __builtin_return_address(0)
#define RANVIER_HOOKS(bytes)                                                                       \
  RANVIER_HOOK __tsan_read##bytes(void* p) { note(p, bytes, Kind::Read, RANVIER_PC); }             \
  RANVIER_HOOK __tsan_write##bytes(void* p) { note(p, bytes, Kind::Write, RANVIER_PC); }           \
  RANVIER_HOOK __tsan_unaligned_read##bytes(void* p) { note(p, bytes, Kind::Read, RANVIER_PC); }   \
  RANVIER_HOOK __tsan_unaligned_write##bytes(void* p) { note(p, bytes, Kind::Write, RANVIER_PC); } \
  RANVIER_HOOK __tsan_volatile_read##bytes(void* p) { note(p, bytes, Kind::Read, RANVIER_PC); }    \
  RANVIER_HOOK __tsan_volatile_write##bytes(void* p) { note(p, bytes, Kind::Write, RANVIER_PC); }
RANVIER_HOOKS(1)
RANVIER_HOOKS(2)
RANVIER_HOOKS(4)
RANVIER_HOOKS(8)
RANVIER_HOOKS(16)

// With the signatures that GCC knows them by.
RANVIER_HOOK __tsan_read_range(void* p, long bytes) { note(p, static_cast<unsigned>(bytes), Kind::Read, RANVIER_PC); }
RANVIER_HOOK __tsan_write_range(void* p, long bytes) { note(p, static_cast<unsigned>(bytes), Kind::Write, RANVIER_PC); }
RANVIER_HOOK __tsan_init() {}
RANVIER_HOOK __tsan_func_entry(void*) {}
RANVIER_HOOK __tsan_func_exit(void*) {}
RANVIER_HOOK __tsan_vptr_read(void*) {}
RANVIER_HOOK __tsan_vptr_update(void*, void*) {}
