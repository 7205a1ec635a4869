// DLPack's memory layout, by which array libraries hand each other memory without copying (versions 0.8 and
// 1.0; https://dmlc.github.io/dlpack). Our own definitions of a published binary interface.
#pragma once

#include <cstdint>

#include "core/array.h"

namespace ranvier {

enum DLDeviceType : int32_t { kDLCpu = 1, kDLCuda = 2, kDLCudaHost = 3, kDLCudaManaged = 13 };
enum DLTypeCode : uint8_t { kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLBFloat = 4, kDLBool = 6 };

struct DLDevice {
  int32_t type;
  int32_t index;
};

struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct DLTensor {
  void* data;
  DLDevice device;
  int32_t rank;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null means C-contiguous
  uint64_t byte_offset;
};

struct DLManagedTensor {
  DLTensor tensor;
  void* context;
  void (*deleter)(DLManagedTensor* self);
};

struct DLManagedTensorVersioned {
  uint32_t major;
  uint32_t minor;
  void* context;
  void (*deleter)(DLManagedTensorVersioned* self);
  uint64_t flags;
  DLTensor tensor;
};

constexpr uint64_t kDLReadOnly = 1;
constexpr uint64_t kDLIsCopied = 2;

DLDataType dlpack_type(DType dtype);
DType dtype_from_dlpack(DLDataType type);  // throws TypeError for what we have no dtype for

DLDevice dlpack_device(Device device);  // the simulator's arrays leave as copies on the CPU

// Whether a tensor's elements stand in C order without gaps, at addresses that suit their size.
bool dlpack_contiguous(const DLTensor& tensor);

// The shape, after checks that nothing in the header can lead us astray: DeviceError, TypeError, ValueError.
Shape checked_dlpack_shape(const DLTensor& tensor);

// Elements of a tensor with any strides (it has passed checked_dlpack_shape), in C order.
void copy_from_dlpack(const DLTensor& tensor, void* out);

}  // namespace ranvier
