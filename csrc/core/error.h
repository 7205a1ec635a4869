// Exceptions that become Python's ValueError, TypeError, rv.DeviceError and MemoryError,
// and `message(...)`, which streams its arguments into one string.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace ranvier {

struct ValueError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct TypeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct OutOfMemory : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace ranvier
