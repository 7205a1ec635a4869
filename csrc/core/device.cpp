#include "core/device.h"

#include <atomic>
#include <utility>

#include "core/error.h"
#include "cuda/runtime/runtime.h"

namespace ranvier {
namespace {

std::atomic<Device> of_process{Device{}};
thread_local std::optional<Device> of_thread;

}  // namespace

Device default_device() { return of_thread ? *of_thread : of_process.load(std::memory_order_relaxed); }
void set_default_device(Device device) { of_process = device; }
std::optional<Device> set_thread_device(std::optional<Device> device) { return std::exchange(of_thread, device); }

std::string device_name(Device device) {
  switch (device.kind) {
    case DeviceKind::Cpu: return "cpu";
    case DeviceKind::Reference: return "reference";
    case DeviceKind::Cuda: return message("cuda:", device.index);
    case DeviceKind::Sim: return "sim";
  }
  return "unknown";
}

namespace {

// Of "cuda:<index>"; -1 for another name.
int gpu_index(const std::string& name) {
  const bool digits = name.size() > 5 && name.size() < 10 && name.compare(0, 5, "cuda:") == 0 &&
                      name.find_first_not_of("0123456789", 5) == std::string::npos;
  return digits ? std::stoi(name.substr(5)) : -1;
}

Device checked_gpu(int index) {
  gpu::require(index);
  return {DeviceKind::Cuda, index};
}

}  // namespace

Device device_from_name(const std::string& name) {
  if (name == "cpu") return {DeviceKind::Cpu, 0};
  if (name == "reference") return {DeviceKind::Reference, 0};
  if (name == "sim") return {DeviceKind::Sim, 0};
  if (name == "cuda") return checked_gpu(0);
  if (const int index = gpu_index(name); index >= 0) return checked_gpu(index);
  throw ValueError(message("device '", name,
                           "' is unknown; expected 'cpu', 'cuda', 'cuda:<index>', 'sim' or "
                           "'reference'"));
}

}  // namespace ranvier
