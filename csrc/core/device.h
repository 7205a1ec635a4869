// Where an array lives, and so whose kernels compute on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ranvier {

// Reference arrays live in host memory; the C++ ops check their arguments and infer shapes for them,
// then Python computes with `ranvier.reference` (see dispatch.h).
enum class DeviceKind : uint8_t { Cpu, Reference, Cuda, Sim };

struct Device {
  DeviceKind kind = DeviceKind::Cpu;
  int index = 0;

  bool operator==(const Device& other) const { return kind == other.kind && index == other.index; }
  bool operator!=(const Device& other) const { return !(*this == other); }
};

// Whether the host reads its arrays: those of GPUs, the simulator's too, it must not.
inline bool on_host(Device device) { return device.kind == DeviceKind::Cpu || device.kind == DeviceKind::Reference; }

std::string device_name(Device device);            // "cpu", "reference", "cuda:0", "sim"
Device device_from_name(const std::string& name);  // throws ValueError or DeviceError

// Where new arrays are made unless said otherwise: a thread's own choice, or the process's.
Device default_device();
void set_default_device(Device device);
// Returns the choice before; none: the process's device.
std::optional<Device> set_thread_device(std::optional<Device> device);

}  // namespace ranvier
