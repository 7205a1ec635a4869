// Element types, and their names and sizes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ranvier {

enum class DType : uint8_t { Float32, Float64, Float16, BFloat16, Int32, Int64, UInt8, Bool };

// Storage only: arithmetic on 16-bit floats happens in float32 (design §2).
struct Float16 {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

// What a dtype computes in.
// clang-format off
template <typename T> struct WideOf { using Type = T; };
template <> struct WideOf<Float16> { using Type = float; };
template <> struct WideOf<BFloat16> { using Type = float; };
// clang-format on
template <typename T>
using Wide = typename WideOf<T>::Type;

const char* dtype_name(DType dtype);
std::size_t dtype_size(DType dtype);
DType dtype_from_name(const char* name);  // throws TypeError for a name it does not know
bool is_floating(DType dtype);
bool is_integer(DType dtype);
inline bool is_narrow(DType dtype) { return dtype == DType::Float16 || dtype == DType::BFloat16; }
inline DType widened(DType dtype) { return is_narrow(dtype) ? DType::Float32 : dtype; }

template <typename T>
struct DTypeOf;
// clang-format off
template <> struct DTypeOf<float>    { static constexpr DType value = DType::Float32; };
template <> struct DTypeOf<double>   { static constexpr DType value = DType::Float64; };
template <> struct DTypeOf<Float16>  { static constexpr DType value = DType::Float16; };
template <> struct DTypeOf<BFloat16> { static constexpr DType value = DType::BFloat16; };
template <> struct DTypeOf<int32_t>  { static constexpr DType value = DType::Int32; };
template <> struct DTypeOf<int64_t>  { static constexpr DType value = DType::Int64; };
template <> struct DTypeOf<uint8_t>  { static constexpr DType value = DType::UInt8; };
template <> struct DTypeOf<bool>     { static constexpr DType value = DType::Bool; };
// clang-format on

}  // namespace ranvier
