// The words of CUDA C++ for a host compiler: a kernel that includes cuda/cuda.h compiles as it stands, and runs on the
// simulator. Only what our kernels use; each word does what the CUDA C++ Programming Guide says.
//
// No std templates here or in kernels: these files are compiled with every load and store watched, and the linker could
// take such a copy of a template for the whole program.
#pragma once

#include <math.h>  // functions of float and double in the global namespace, as in CUDA

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "sim/runtime.h"

#define __global__ __attribute__((noinline))
// Inlined, as nvcc does: a value that a called function stores through its result is not reported by the compiler.
#define __device__ inline __attribute__((always_inline))
#define __host__
#define __forceinline__
#define __launch_bounds__(...)
#define __constant__ static const
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __restrict__ __restrict
#define __grid_constant__
// One copy per block: blocks run one after the other on one thread of the host.
#define __shared__ static __thread
// Shared memory whose size the launch gives; `name` points at T.
#define DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(::ranvier::sim::dynamic_shared())

#define RANVIER_SIM_UNWATCHED __attribute__((no_sanitize("thread"), noinline))
// Where a word of CUDA stands in the kernel's source.
#define RANVIER_SIM_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}  // NOLINT: CUDA converts from integers
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// Constants to a kernel, so that the compiler does not report their loads; the scheduler sets them.
extern const uint3 threadIdx asm("ranvier_sim_threadIdx");
extern const uint3 blockIdx asm("ranvier_sim_blockIdx");
extern const uint3 blockDim asm("ranvier_sim_blockDim");
extern const uint3 gridDim asm("ranvier_sim_gridDim");
constexpr int warpSize = 32;

// --- barriers and votes ----------------------------------------------------------------------------------------------

inline void __syncthreads(RANVIER_SIM_SITE) { ranvier::sim::block_barrier({file, line}); }

inline void __syncwarp(unsigned mask = 0xffffffffu, RANVIER_SIM_SITE) {
  ranvier::sim::collective(mask, "__syncwarp", {}, nullptr, true, {file, line});
}

inline unsigned __activemask() { return ranvier::sim::active_mask(); }

namespace ranvier::sim {

// out of each lane: the lanes of the mask whose predicate holds
RANVIER_SIM_API void vote(Record* const* records, std::uint32_t mask);
// What each kind of shuffle reads: lane `source` of those of `width` lanes that it belongs to, itself where there is
// none.
enum class Shuffle : int { Index, Up, Down, Xor };
RANVIER_SIM_API void shuffle_words(Record* const* records, std::uint32_t mask);

struct ShuffleRequest {
  Shuffle kind;
  unsigned bytes;
  int source, width;
  const void* value;
};

template <typename T>
inline T shuffle(unsigned mask, T value, Shuffle kind, const char* name, int source, int width, Site site) {
  ShuffleRequest request{kind, sizeof(T), source, width, &value};
  T result;
  collective(mask, name, {&request, &result, 0}, &shuffle_words, false, site);
  return result;
}

}  // namespace ranvier::sim

inline unsigned __ballot_sync(unsigned mask, int predicate, RANVIER_SIM_SITE) {
  unsigned result = 0;
  ranvier::sim::collective(mask, "__ballot_sync", {nullptr, &result, predicate}, &ranvier::sim::vote, false,
                           {file, line});
  return result;
}
inline int __any_sync(unsigned mask, int predicate, RANVIER_SIM_SITE) {
  unsigned result = 0;
  ranvier::sim::collective(mask, "__any_sync", {nullptr, &result, predicate}, &ranvier::sim::vote, false, {file, line});
  return result != 0;
}
inline int __all_sync(unsigned mask, int predicate, RANVIER_SIM_SITE) {
  unsigned result = 0;
  ranvier::sim::collective(mask, "__all_sync", {nullptr, &result, predicate}, &ranvier::sim::vote, false, {file, line});
  return result == mask;
}

template <typename T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, RANVIER_SIM_SITE) {
  return ranvier::sim::shuffle(mask, value, ranvier::sim::Shuffle::Index, "__shfl_sync", source, width, {file, line});
}
template <typename T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, RANVIER_SIM_SITE) {
  return ranvier::sim::shuffle(mask, value, ranvier::sim::Shuffle::Up, "__shfl_up_sync", static_cast<int>(delta), width,
                               {file, line});
}
template <typename T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, RANVIER_SIM_SITE) {
  return ranvier::sim::shuffle(mask, value, ranvier::sim::Shuffle::Down, "__shfl_down_sync", static_cast<int>(delta),
                               width, {file, line});
}
template <typename T>
inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = warpSize, RANVIER_SIM_SITE) {
  return ranvier::sim::shuffle(mask, value, ranvier::sim::Shuffle::Xor, "__shfl_xor_sync", lanes, width, {file, line});
}

// --- atomics: other threads may come in between before, never during ------------------------------------------------

#define RANVIER_SIM_ATOMIC(name, expression)                            \
  template <typename T>                                                 \
  RANVIER_SIM_UNWATCHED T name(T* address, T value, RANVIER_SIM_SITE) { \
    ranvier::sim::before_atomic(address, sizeof(T), {file, line});      \
    const T old = *address;                                             \
    *address = expression;                                              \
    return old;                                                         \
  }
RANVIER_SIM_ATOMIC(atomicAdd, old + value)
RANVIER_SIM_ATOMIC(atomicSub, old - value)
RANVIER_SIM_ATOMIC(atomicExch, value)
RANVIER_SIM_ATOMIC(atomicMin, value < old ? value : old)
RANVIER_SIM_ATOMIC(atomicMax, old < value ? value : old)
RANVIER_SIM_ATOMIC(atomicAnd, old& value)
RANVIER_SIM_ATOMIC(atomicOr, old | value)

template <typename T>
RANVIER_SIM_UNWATCHED T atomicCAS(T* address, T expected, T value, RANVIER_SIM_SITE) {
  ranvier::sim::before_atomic(address, sizeof(T), {file, line});
  const T old = *address;
  if (old == expected) *address = value;
  return old;
}
inline void __threadfence() {}

// --- arithmetic
// -------------------------------------------------------------------------------------------------------

inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return std::exp(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<std::uint64_t>(a) * b) >> 32);
}
inline std::uint64_t __umul64hi(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(a) * b) >> 64);
}
template <typename T>
inline T __ldg(const T* p) {
  return *p;
}
template <typename T>
inline T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
inline T max(T a, T b) {
  return a < b ? b : a;
}
inline unsigned __popc(unsigned x) { return static_cast<unsigned>(__builtin_popcount(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }

// --- launches
// ---------------------------------------------------------------------------------------------------------

namespace ranvier {
namespace sim {

template <auto Kernel>
struct Launcher;

template <typename... Parameters, void (*Kernel)(Parameters...)>
struct Launcher<Kernel> {
  // `arguments` are converted to the kernel's parameters here, and copied for each thread: it owns its parameters.
  static void start(const char* name, dim3 grid, dim3 block, std::size_t shared_bytes, Parameters... arguments) {
    auto call = [=]() __attribute__((no_sanitize("thread"))) { Kernel(arguments...); };
    using Call = decltype(call);
    const Launch launch{name,
                        reinterpret_cast<const void*>(Kernel),
                        {grid.x, grid.y, grid.z},
                        {block.x, block.y, block.z},
                        shared_bytes,
                        [](const void* body) { (*static_cast<const Call*>(body))(); },
                        &call};
    run(launch);
  }
};

}  // namespace sim

template <auto Kernel, typename... Arguments>
void launch(dim3 grid, dim3 block, std::size_t shared_bytes, void*, Arguments... arguments) {
  sim::Launcher<Kernel>::start(__PRETTY_FUNCTION__, grid, block, shared_bytes, arguments...);
}

}  // namespace ranvier
