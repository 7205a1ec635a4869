// parallel_for: run body(begin, end, context) over chunks of a range on a small pool of threads.
//
// Workers spin briefly after work, then sleep. Small ranges (one grain or less), nested calls, and
// calls while another thread uses the pool run serially on the caller. The pool is rebuilt after fork.
// Which thread runs which chunk is not fixed, and the number of chunks follows the thread count: a
// kernel's result must not depend on either (design §4).
#pragma once

#include <cstddef>
#include <cstdint>

namespace ranvier {

using RangeBody = void (*)(int64_t begin, int64_t end, void* context);

void parallel_for(int64_t begin, int64_t end, int64_t grain, RangeBody body, void* context);

int num_threads();
void set_num_threads(int threads);  // throws ValueError for less than one
int default_num_threads();          // affinity mask and cgroup quota, or RANVIER_NUM_THREADS

// A buffer of the calling thread that lives until its next larger request: packing, padded rows,
// partial sums. Each slot is a buffer of its own; a kernel that calls another must not share its slots.
enum ScratchSlot : int { kScratchA, kScratchB, kScratchC, kScratchPad, kScratchOuter, kScratchSlots };
void* thread_scratch(ScratchSlot slot, std::size_t bytes);

}  // namespace ranvier
