#include "core/dlpack.h"

#include <cstring>

#include "core/error.h"
#include "cuda/runtime/runtime.h"

namespace ranvier {
namespace {

struct TypeEntry {
  DType dtype;
  uint8_t code;
};

constexpr TypeEntry kTypes[] = {
    {DType::Float32, kDLFloat}, {DType::Float64, kDLFloat}, {DType::Float16, kDLFloat}, {DType::BFloat16, kDLBFloat},
    {DType::Int32, kDLInt},     {DType::Int64, kDLInt},     {DType::UInt8, kDLUInt},    {DType::Bool, kDLBool},
};

constexpr int32_t kMaxRank = 64;

const char* first_element(const DLTensor& tensor) { return static_cast<const char*>(tensor.data) + tensor.byte_offset; }

// The bytes between the lowest and the highest element must be an addressable amount.
void check_strides(const DLTensor& tensor, const Shape& shape) {
  int64_t reach = tensor.dtype.bits / 8;
  for (int32_t axis = 0; axis < tensor.rank; ++axis) {
    int64_t step = tensor.strides[axis];
    const bool fits = step != INT64_MIN && !__builtin_mul_overflow(step < 0 ? -step : step, shape[axis] - 1, &step) &&
                      !__builtin_mul_overflow(step, int64_t{tensor.dtype.bits / 8}, &step) &&
                      !__builtin_add_overflow(reach, step, &reach) && reach < (INT64_MAX >> 1);
    if (!fits) {
      throw ValueError(message("from_dlpack: stride ", tensor.strides[axis], " of axis ", axis, " (shape ",
                               shape_text(shape), ") reaches beyond memory"));
    }
  }
}

}  // namespace

DLDataType dlpack_type(DType dtype) {
  for (const TypeEntry& entry : kTypes) {
    if (entry.dtype == dtype) return {entry.code, static_cast<uint8_t>(8 * dtype_size(dtype)), 1};
  }
  throw TypeError(message("dlpack: ", dtype_name(dtype), " has no DLPack type"));
}

DLDevice dlpack_device(Device device) {
  if (device.kind == DeviceKind::Cuda) return {kDLCuda, device.index};
  return {kDLCpu, 0};
}

DType dtype_from_dlpack(DLDataType type) {
  if (type.lanes != 1) {
    throw TypeError(message("from_dlpack: elements of ", type.lanes, " lanes are not supported; expected 1"));
  }
  for (const TypeEntry& entry : kTypes) {
    if (entry.code == type.code && 8 * dtype_size(entry.dtype) == type.bits) return entry.dtype;
  }
  throw TypeError(message("from_dlpack: elements of type code ", int{type.code}, " with ", int{type.bits},
                          " bits are not supported; expected float32, float64, float16, bfloat16, int32, int64, uint8 "
                          "or bool"));
}

Shape checked_dlpack_shape(const DLTensor& tensor) {
  const bool known = tensor.device.type == kDLCpu || tensor.device.type == kDLCuda;
  if (!known) {
    throw DeviceError(message("from_dlpack: the tensor is on DLPack device type ", tensor.device.type,
                              "; expected 1 (CPU) or 2 (CUDA): move it to the CPU first"));
  }
  if (tensor.device.type == kDLCuda) gpu::require(tensor.device.index);
  dtype_from_dlpack(tensor.dtype);
  if (tensor.rank < 0 || tensor.rank > kMaxRank) {
    throw ValueError(message("from_dlpack: rank is ", tensor.rank, "; expected 0 to ", kMaxRank));
  }
  if (tensor.rank > 0 && tensor.shape == nullptr) throw ValueError("from_dlpack: the tensor has no shape");
  Shape shape(tensor.shape, tensor.shape + tensor.rank);
  if (element_count(shape) == 0) return shape;
  if (tensor.data == nullptr) {
    throw ValueError(message("from_dlpack: a tensor of shape ", shape_text(shape), " has no data"));
  }
  if (tensor.strides != nullptr) check_strides(tensor, shape);
  return shape;
}

bool dlpack_contiguous(const DLTensor& tensor) {
  int64_t expected = 1;
  for (int32_t axis = 0; axis < tensor.rank; ++axis) {
    if (tensor.shape[axis] == 0) return true;
  }
  if (reinterpret_cast<uintptr_t>(first_element(tensor)) % (tensor.dtype.bits / 8) != 0) return false;
  for (int32_t axis = tensor.rank; tensor.strides != nullptr && axis-- > 0;) {
    if (tensor.shape[axis] != 1 && tensor.strides[axis] != expected) return false;
    expected *= tensor.shape[axis];
  }
  return true;
}

void copy_from_dlpack(const DLTensor& tensor, void* out) {
  const std::size_t item = tensor.dtype.bits / 8;
  const Shape shape(tensor.shape, tensor.shape + tensor.rank);
  const int64_t count = element_count(shape);
  const char* base = first_element(tensor);
  char* to = static_cast<char*>(out);
  if (tensor.strides == nullptr) {
    if (count > 0) std::memcpy(to, base, count * item);
    return;
  }
  Shape index(shape.size(), 0);
  int64_t offset = 0;  // of index, in elements
  for (int64_t i = 0; i < count; ++i, to += item) {
    std::memcpy(to, base + offset * static_cast<int64_t>(item), item);
    for (int32_t axis = tensor.rank; axis-- > 0;) {  // the next index, last axis fastest
      offset += tensor.strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= shape[axis] * tensor.strides[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace ranvier
