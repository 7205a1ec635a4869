#include "core/device.h"

#include "core/error.h"

namespace ranvier {

std::string device_name(Device device) {
  switch (device.kind) {
    case DeviceKind::Cpu: return "cpu";
    case DeviceKind::Reference: return "reference";
    case DeviceKind::Cuda: return message("cuda:", device.index);
    case DeviceKind::Sim: return "sim";
  }
  return "unknown";
}

Device device_from_name(const std::string& name) {
  if (name == "cpu") return {DeviceKind::Cpu, 0};
  if (name == "reference") return {DeviceKind::Reference, 0};
  if (name == "sim") return {DeviceKind::Sim, 0};
  if (name.rfind("cuda", 0) == 0) {
    throw DeviceError(message("device '", name,
                              "' is not available: this build has no CUDA kernels for a GPU; use 'cpu', ",
                              "'sim' or 'reference'"));
  }
  throw ValueError(message("device '", name,
                           "' is unknown; expected 'cpu', 'cuda', 'cuda:<index>', 'sim' or "
                           "'reference'"));
}

}  // namespace ranvier
