// Instructions that CUDA C++ has no words for: asynchronous copies to shared memory, and the tensor cores. Under nvcc
// they are PTX, on a host models of the same contract (csrc/sim/ptx.cpp). The layouts are those of the PTX ISA, chapter
// "Warp-level matrix instructions"; with g = lane / 4 and t = lane % 4:
//
//   mma m16n8k8 tf32    a: (g, t) (g+8, t) (g, t+4) (g+8, t+4)     b: (t, g) (t+4, g)
//                       c: (g, 2t) (g, 2t+1) (g+8, 2t) (g+8, 2t+1)
//   mma m16n8k16 f16 and bf16
//                       a: (g, 2t..) (g+8, 2t..) (g, 2t+8..) (g+8, 2t+8..), two 16-bit values a register
//                       b: (2t.., g) (2t+8.., g)                   c: as above
#pragma once

#include "cuda/cuda.h"

namespace ranvier {

#if defined(__CUDACC__)

// `Bytes` (4, 8 or 16) from global to shared memory, of which `valid` are read and the rest are zeros. Done when waited
// for.
template <int Bytes>
__device__ __forceinline__ void cp_async(void* shared, const void* global, int valid = Bytes) {
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  if constexpr (Bytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(valid) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(global), "n"(Bytes), "r"(valid)
                 : "memory");
  }
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most `Left` of the committed groups are under way.
template <int Left>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory");
}

// A float rounded to the 10 bits of fraction that tensor cores multiply (tf32).
__device__ __forceinline__ unsigned to_tf32(float x) {
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

// c (16, 8) += a (16, 8) b (8, 8), a and b as to_tf32 gives them.
__device__ __forceinline__ void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// c (16, 8) += a (16, 16) b (16, 8), bfloat16.
__device__ __forceinline__ void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The same of float16.
__device__ __forceinline__ void mma_f16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four 8x8 matrices of 16-bit values: lane 8i + r points at row r of matrix i; register i gets (lane / 4, 2 (lane %
// 4)..).
__device__ __forceinline__ void ldmatrix_x4(unsigned (&d)[4], const void* shared_row) {
  const unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(from)
               : "memory");
}
// The same of the transposed matrices: register i gets (2 (lane % 4).., lane / 4) of what lies in memory.
__device__ __forceinline__ void ldmatrix_x4_transposed(unsigned (&d)[4], const void* shared_row) {
  const unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(from)
               : "memory");
}

#else

template <int Bytes>
inline void cp_async(void* shared, const void* global, int valid = Bytes, RANVIER_SIM_SITE) {
  sim::copy_async(shared, global, Bytes, static_cast<unsigned>(valid), {file, line});
}
inline void cp_async_commit() { sim::commit_copies(); }
template <int Left>
inline void cp_async_wait() {
  sim::wait_copies(Left);
}

namespace sim {
RANVIER_SIM_API unsigned round_to_tf32(float x);
// Acts of `collective`: in points at an MmaOperands, out at four floats; in at a row, out at four registers.
struct MmaOperands {
  const unsigned *a, *b;
};
RANVIER_SIM_API void act_mma_tf32(Record* const* records, std::uint32_t mask);
RANVIER_SIM_API void act_mma_bf16(Record* const* records, std::uint32_t mask);
RANVIER_SIM_API void act_mma_f16(Record* const* records, std::uint32_t mask);
RANVIER_SIM_API void act_ldmatrix_x4(Record* const* records, std::uint32_t mask);
RANVIER_SIM_API void act_ldmatrix_x4_transposed(Record* const* records, std::uint32_t mask);
}  // namespace sim

inline unsigned to_tf32(float x) { return sim::round_to_tf32(x); }

inline void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], RANVIER_SIM_SITE) {
  const sim::MmaOperands operands{a, b};
  sim::collective(0xffffffffu, "mma", {&operands, c, 0}, &sim::act_mma_tf32, false, {file, line});
}
inline void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], RANVIER_SIM_SITE) {
  const sim::MmaOperands operands{a, b};
  sim::collective(0xffffffffu, "mma", {&operands, c, 0}, &sim::act_mma_bf16, false, {file, line});
}
inline void mma_f16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], RANVIER_SIM_SITE) {
  const sim::MmaOperands operands{a, b};
  sim::collective(0xffffffffu, "mma", {&operands, c, 0}, &sim::act_mma_f16, false, {file, line});
}
inline void ldmatrix_x4(unsigned (&d)[4], const void* shared_row, RANVIER_SIM_SITE) {
  sim::note_access(shared_row, 16, false, {file, line});
  sim::collective(0xffffffffu, "ldmatrix", {shared_row, d, 0}, &sim::act_ldmatrix_x4, false, {file, line});
}
inline void ldmatrix_x4_transposed(unsigned (&d)[4], const void* shared_row, RANVIER_SIM_SITE) {
  sim::note_access(shared_row, 16, false, {file, line});
  sim::collective(0xffffffffu, "ldmatrix", {shared_row, d, 0}, &sim::act_ldmatrix_x4_transposed, false, {file, line});
}

#endif

}  // namespace ranvier
