// Fibers: stacks of their own that hand the processor to each other when they choose to. One CUDA thread is one fiber.
//
// A switch saves six registers and swaps the stack pointer (4 ns); `ucontext`, which also asks the kernel for the
// signal mask, takes 230 ns and serves the other architectures.
#pragma once

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace ranvier::sim {

constexpr std::size_t kStackBytes = std::size_t{64} << 10;

struct Stack {
  char* low = nullptr;  // lowest usable byte; a page below it faults when the stack overflows
  bool holds(const void* p) const {
    return static_cast<const char*>(p) >= low && static_cast<const char*>(p) < low + kStackBytes;
  }
};

Stack acquire_stack();  // from a pool; throws std::bad_alloc
void release_stack(Stack stack);

// Where a fiber, or the thread that runs them, goes on when it is switched to.
struct Context {
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t state;
#endif
};

// Makes `context` start `entry(argument)` on the stack. `entry` never returns: it switches away for good.
void prepare(Context& context, Stack stack, void (*entry)(void*), void* argument);

// Saves where we are in `from`, goes on in `to`. `stack` is the one of `to`, or null for the thread's own
// (AddressSanitizer has to know); `from_ends` when nobody will switch back.
void switch_to(Context& from, const Context& to, const Stack* stack, bool from_ends = false);

// The first thing a fiber does, and the thread after each switch back to it.
void arrived();

}  // namespace ranvier::sim
