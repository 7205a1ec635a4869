// Host models of the instructions of cuda/ptx.h, by the PTX ISA's tables of which lane holds what.
#include "cuda/ptx.h"

#include <cstring>

namespace ranvier::sim {
namespace {

float float_from(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float from_bf16(unsigned half) { return float_from(half << 16); }

// Exponent and fraction move to float's places; 2^112 mends the exponent's bias, denormals included.
float from_f16(unsigned half) {
  const unsigned magnitude = (half & 0x7fffu) << 13, sign = (half & 0x8000u) << 16;
  if ((half & 0x7c00u) == 0x7c00u) return float_from(magnitude | 0x7f800000u | sign);
  const float value = float_from(magnitude) * 0x1p112F;
  return sign != 0 ? -value : value;
}
float from_tf32(unsigned bits) { return float_from(bits & 0xffffe000u); }  // the hardware ignores the last 13 bits

const MmaOperands& operands(Record* const* records, int lane) {
  return *static_cast<const MmaOperands*>(records[lane]->in);
}

// c += a b once the fragments are matrices. Tensor cores add products in an order of their own; we add in order of p.
template <int Depth>
void multiply(Record* const* records, const float (&a)[16][Depth], const float (&b)[Depth][8]) {
  for (int lane = 0; lane < 32; ++lane) {
    auto* c = static_cast<float*>(records[lane]->out);
    for (int e = 0; e < 4; ++e) {
      const int row = lane / 4 + (e / 2) * 8, column = lane % 4 * 2 + e % 2;
      for (int p = 0; p < Depth; ++p) c[e] += a[row][p] * b[p][column];
    }
  }
}

// Two 16-bit values a register.
template <float (*From)(unsigned)>
void multiply_halves(Record* const* records) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const MmaOperands& given = operands(records, lane);
    const int g = lane / 4, t = lane % 4;
    for (int half = 0; half < 2; ++half) {
      for (int e = 0; e < 4; ++e) {
        a[g + e % 2 * 8][2 * t + half + e / 2 * 8] = From(given.a[e] >> (16 * half) & 0xffff);
      }
      for (int e = 0; e < 2; ++e) b[2 * t + half + e * 8][g] = From(given.b[e] >> (16 * half) & 0xffff);
    }
  }
  multiply(records, a, b);
}

}  // namespace

unsigned round_to_tf32(float x) {  // cvt.rna: to nearest, ties away from zero
  unsigned bits;
  std::memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits;  // Inf and NaN stay
  return (bits + 0x1000u) & 0xffffe000u;
}

void act_mma_tf32(Record* const* records, std::uint32_t) {
  float a[16][8], b[8][8];
  for (int lane = 0; lane < 32; ++lane) {
    const MmaOperands& given = operands(records, lane);
    const int g = lane / 4, t = lane % 4;
    for (int e = 0; e < 4; ++e) a[g + e % 2 * 8][t + e / 2 * 4] = from_tf32(given.a[e]);
    for (int e = 0; e < 2; ++e) b[t + e * 4][g] = from_tf32(given.b[e]);
  }
  multiply(records, a, b);
}

void act_mma_bf16(Record* const* records, std::uint32_t) { multiply_halves<from_bf16>(records); }
void act_mma_f16(Record* const* records, std::uint32_t) { multiply_halves<from_f16>(records); }

void act_ldmatrix_x4(Record* const* records, std::uint32_t) {
  for (int lane = 0; lane < 32; ++lane) {
    auto* d = static_cast<unsigned*>(records[lane]->out);
    for (int matrix = 0; matrix < 4; ++matrix) {
      const auto* row = static_cast<const char*>(records[8 * matrix + lane / 4]->in);
      std::memcpy(&d[matrix], row + 4 * (lane % 4), 4);
    }
  }
}

void act_ldmatrix_x4_transposed(Record* const* records, std::uint32_t) {
  for (int lane = 0; lane < 32; ++lane) {
    auto* d = static_cast<unsigned*>(records[lane]->out);
    for (int matrix = 0; matrix < 4; ++matrix) {
      std::uint16_t pair[2];
      for (int half = 0; half < 2; ++half) {
        const auto* row = static_cast<const char*>(records[8 * matrix + lane % 4 * 2 + half]->in);
        std::memcpy(&pair[half], row + 2 * (lane / 4), 2);
      }
      d[matrix] = pair[0] | static_cast<unsigned>(pair[1]) << 16;
    }
  }
}

}  // namespace ranvier::sim
