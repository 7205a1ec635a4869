#include "sim/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace ranvier::sim {
namespace {

std::mutex pool_mutex;
std::vector<Stack>& pool() {
  static auto* stacks = new std::vector<Stack>;  // never destroyed: a launch may outlive static destruction
  return *stacks;
}

}  // namespace

Stack acquire_stack() {
  {
    std::lock_guard<std::mutex> lock(pool_mutex);
    if (!pool().empty()) {
      const Stack stack = pool().back();
      pool().pop_back();
      return stack;
    }
  }
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* low =
      mmap(nullptr, kStackBytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (low == MAP_FAILED) throw std::bad_alloc();
  mprotect(low, page, PROT_NONE);
  return Stack{static_cast<char*>(low) + page};
}

void release_stack(Stack stack) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(stack.low, kStackBytes);  // a launch that was given up leaves frames behind
#endif
  std::lock_guard<std::mutex> lock(pool_mutex);
  pool().push_back(stack);
}

#if defined(__x86_64__)

// void ranvier_sim_switch(void** save, void* load): callee-saved registers go onto the old stack, come from the new
// one. `pop; jmp` where `ret` would do: `ret` is predicted from the calls made before it, and here it is always wrong.
asm(R"(
.text
.globl ranvier_sim_switch
.hidden ranvier_sim_switch
.type ranvier_sim_switch, @function
ranvier_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmpq *%rcx
.size ranvier_sim_switch, .-ranvier_sim_switch
.globl ranvier_sim_start
.hidden ranvier_sim_start
.type ranvier_sim_start, @function
ranvier_sim_start:
  movq %r12, %rdi
  callq *%rbx
  ud2
.size ranvier_sim_start, .-ranvier_sim_start
)");
extern "C" void ranvier_sim_switch(void** save, void* load);
extern "C" void ranvier_sim_start();

void prepare(Context& context, Stack stack, void (*entry)(void*), void* argument) {
  auto** top = reinterpret_cast<void**>(stack.low + kStackBytes - 64);
  top -= 2;  // keeps the stack aligned to 16 bytes at the call
  *--top = reinterpret_cast<void*>(&ranvier_sim_start);
  *--top = nullptr;                              // rbp
  *--top = reinterpret_cast<void*>(entry);       // rbx
  *--top = argument;                             // r12
  for (int i = 0; i < 3; ++i) *--top = nullptr;  // r13, r14, r15
  context.stack_pointer = static_cast<void*>(top);
}

static void swap_contexts(Context& from, const Context& to) {
  ranvier_sim_switch(&from.stack_pointer, to.stack_pointer);
}

#else

static void start(unsigned entry_high, unsigned entry_low, unsigned argument_high, unsigned argument_low) {
  const auto join = [](unsigned high, unsigned low) { return (std::uint64_t{high} << 32) | low; };
  reinterpret_cast<void (*)(void*)>(join(entry_high, entry_low))(
      reinterpret_cast<void*>(join(argument_high, argument_low)));
}

void prepare(Context& context, Stack stack, void (*entry)(void*), void* argument) {
  getcontext(&context.state);
  context.state.uc_stack.ss_sp = stack.low;
  context.state.uc_stack.ss_size = kStackBytes;
  context.state.uc_link = nullptr;
  const auto e = reinterpret_cast<std::uint64_t>(entry), a = reinterpret_cast<std::uint64_t>(argument);
  makecontext(&context.state, reinterpret_cast<void (*)()>(&start), 4, static_cast<unsigned>(e >> 32),
              static_cast<unsigned>(e), static_cast<unsigned>(a >> 32), static_cast<unsigned>(a));
}

static void swap_contexts(Context& from, const Context& to) { swapcontext(&from.state, &to.state); }

#endif

#if defined(__SANITIZE_ADDRESS__)

namespace {
// AddressSanitizer follows stacks: what it must know of the thread's own, learnt when the first fiber starts.
thread_local const void* thread_low = nullptr;
thread_local std::size_t thread_bytes = 0;
}  // namespace

void switch_to(Context& from, const Context& to, const Stack* stack, bool from_ends) {
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(from_ends ? nullptr : &fake, stack ? stack->low : thread_low,
                                 stack ? kStackBytes : thread_bytes);
  swap_contexts(from, to);
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
}

void arrived() {
  const void* low = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &low, &bytes);
  if (thread_low == nullptr) thread_low = low, thread_bytes = bytes;
}

#else

void switch_to(Context& from, const Context& to, const Stack*, bool) { swap_contexts(from, to); }
void arrived() {}

#endif

}  // namespace ranvier::sim
