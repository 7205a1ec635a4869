#include "core/dtype.h"

#include <cstring>

#include "core/error.h"

namespace ranvier {
namespace {

struct DTypeInfo {
  const char* name;
  std::size_t size;
  bool floating;
  bool integer;
};

// In the order of the enumeration.
constexpr DTypeInfo kInfo[] = {
    {"float32", 4, true, false}, {"float64", 8, true, false}, {"float16", 2, true, false}, {"bfloat16", 2, true, false},
    {"int32", 4, false, true},   {"int64", 8, false, true},   {"uint8", 1, false, true},   {"bool", 1, false, false},
};

const DTypeInfo& info(DType dtype) { return kInfo[static_cast<int>(dtype)]; }

}  // namespace

const char* dtype_name(DType dtype) { return info(dtype).name; }
std::size_t dtype_size(DType dtype) { return info(dtype).size; }
bool is_floating(DType dtype) { return info(dtype).floating; }
bool is_integer(DType dtype) { return info(dtype).integer; }

DType dtype_from_name(const char* name) {
  for (int i = 0; i < static_cast<int>(sizeof(kInfo) / sizeof(kInfo[0])); ++i) {
    if (std::strcmp(name, kInfo[i].name) == 0) return static_cast<DType>(i);
  }
  throw TypeError(message("dtype '", name,
                          "' is not supported; expected float32, float64, float16, bfloat16, int32, int64, "
                          "uint8 or bool"));
}

}  // namespace ranvier
