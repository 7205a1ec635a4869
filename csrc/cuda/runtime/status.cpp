#include "cuda/runtime/status.h"

#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/error.h"

namespace ranvier::gpu {
namespace {

// The kernels launched last, for the message of a failure that comes to light later. Names are literals.
constexpr unsigned kRemembered = 8;
std::atomic<const char*> g_names[kRemembered];
std::atomic<unsigned> g_next{0};

// "... launch(...) [with auto Kernel = ranvier::on_cuda::{anonymous}::activate<float>; Arguments = ..." ->
// activate<float>
std::string kernel_name(const char* pretty) {
  std::string text = pretty;
  const std::size_t begin = text.find("Kernel = ");
  if (begin == std::string::npos) return text;
  text = text.substr(begin + 9);
  text = text.substr(0, text.find_first_of(";]"));
  for (const char* scope :
       {"ranvier::on_cuda::", "{anonymous}::", "(anonymous namespace)::", "<unnamed>::", "ranvier::"}) {
    for (std::size_t at = text.find(scope); at != std::string::npos; at = text.find(scope)) {
      text.erase(at, std::strlen(scope));
    }
  }
  return text;
}

// From the latest back.
std::string kernels_before() {
  std::string names;
  const unsigned next = g_next.load();
  for (unsigned i = 1; i <= kRemembered; ++i) {
    const char* name = g_names[(next - i) % kRemembered].load();
    if (name != nullptr) names += (names.empty() ? "" : ", ") + kernel_name(name);
  }
  return names;
}

bool names_kernel(cudaError_t status) {  // what a kernel that ran has done
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorHardwareStackError:
    case cudaErrorAssert:
    case cudaErrorLaunchTimeout:
    case cudaErrorLaunchFailure: return true;
    default: return false;
  }
}

bool blocking() {
  static const bool on = [] {
    const char* value = std::getenv("RANVIER_CUDA_LAUNCH_BLOCKING");
    return value != nullptr && *value != '\0' && std::strcmp(value, "0") != 0;
  }();
  return on;
}

}  // namespace

void check(cudaError_t status, const char* tried) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // what can be forgotten is
  std::string text = message("cuda: ", tried, ": ", cudaGetErrorString(status));
  if (names_kernel(status)) {
    text += message(
        ". A kernel that was launched before has failed, and CUDA does not say which; the last were ", kernels_before(),
        ". Set RANVIER_CUDA_LAUNCH_BLOCKING=1 to see it by name. This process cannot use ", "the GPU any more");
  }
  throw DeviceError(text);
}

void launched(const char* pretty_function, cudaError_t status, cudaStream_t stream) {
  if (status == cudaSuccess && blocking()) status = cudaStreamSynchronize(stream);
  if (status != cudaSuccess) {
    cudaGetLastError();
    throw DeviceError(message("cuda: kernel ", kernel_name(pretty_function), " failed: ", cudaGetErrorString(status)));
  }
  g_names[g_next.fetch_add(1) % kRemembered].store(pretty_function, std::memory_order_relaxed);
}

// --- whether there is a GPU
// -------------------------------------------------------------------------------------------

namespace {

constexpr int kDriverOfToolkit = CUDART_VERSION / 1000 * 1000;  // any driver of the same major version will do

std::string version_text(int version) { return message(version / 1000, ".", version % 1000 / 10); }

// The lowest compute capability that the build has code for: the lowest number in RANVIER_CUDA_ARCHS.
int lowest_capability() {
  int lowest = 1000;
  for (const char* at = RANVIER_CUDA_ARCHS; *at != '\0'; ++at) {
    if (*at < '0' || *at > '9') continue;
    char* end = nullptr;
    const int value = static_cast<int>(std::strtol(at, &end, 10));
    if (value < lowest) lowest = value;
    at = end - 1;
  }
  return lowest == 1000 ? 0 : lowest;  // "native": what was there when it was built
}

bool g_forked = false;  // CUDA does not live on in a child

struct Found {
  int count = 0;
  std::string why_not;
};

Found look() {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    cudaGetLastError();
    return {0, "no driver: this machine has no NVIDIA driver (libcuda.so.1 is not there)"};
  }
  if (driver < kDriverOfToolkit) {
    return {0, message("driver too old: it speaks CUDA ", version_text(driver), ", this build needs ",
                       version_text(kDriverOfToolkit), " (driver 580 or newer)")};
  }
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    return {0, visible == nullptr
                   ? std::string("no device: the driver finds no GPU")
                   : message("no device: the driver finds no GPU (CUDA_VISIBLE_DEVICES is '", visible, "')")};
  }
  if (status != cudaSuccess) return {0, message("the driver does not answer: ", cudaGetErrorString(status))};
  if (count > kMaxDevices) count = kMaxDevices;
  int major = 0, minor = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
  if (10 * major + minor < lowest_capability()) {
    return {0, message("device too old: the GPU has compute capability ", major, ".", minor,
                       ", this build has kernels for ", RANVIER_CUDA_ARCHS, " and newer")};
  }
  return {count, {}};
}

const Found& found() {
  static const Found once = [] {
    pthread_atfork(nullptr, nullptr, [] { g_forked = true; });
    return look();
  }();
  return once;
}

}  // namespace

bool built() { return true; }

std::string why_not() {
  const Found& there = found();
  if (g_forked)
    return "this process was forked after CUDA was first asked for; start it anew (multiprocessing: 'spawn')";
  return there.why_not;
}

int device_count() { return why_not().empty() ? found().count : 0; }

void require(int device) {
  const Found& there = found();
  if (g_forked || !there.why_not.empty()) {
    throw DeviceError(
        message("device 'cuda:", device, "' is not available: ", why_not(), "; use 'cpu', 'sim' or 'reference'"));
  }
  if (device < 0 || device >= there.count) {
    throw DeviceError(message("device 'cuda:", device, "' is not available: there ", there.count == 1 ? "is " : "are ",
                              there.count, there.count == 1 ? " GPU" : " GPUs"));
  }
}

}  // namespace ranvier::gpu
