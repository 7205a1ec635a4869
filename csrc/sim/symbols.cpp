#include "sim/symbols.h"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

namespace ranvier::sim {
namespace {

// "_ZZN12_GLOBAL__N_14tileEPfE4tile" -> "(anonymous namespace)::tile(float*)::tile" -> "tile"
std::string variable_name(const char* symbol) {
  int status = 0;
  char* plain = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
  std::string name = status == 0 ? plain : symbol;
  std::free(plain);
  const auto scope = name.rfind("::");
  return scope == std::string::npos ? name : name.substr(scope + 2);
}

// What an ELF file says of itself is not believed: nothing is read beyond the end of the file.
template <typename T>
const T* table(const std::vector<char>& file, std::uint64_t offset, std::uint64_t count) {
  if (offset > file.size() || count > (file.size() - offset) / sizeof(T)) return nullptr;
  return reinterpret_cast<const T*>(file.data() + offset);
}

}  // namespace

std::vector<SharedVariable> shared_variables(const std::string& module) {
  std::ifstream stream(module, std::ios::binary);
  const std::vector<char> file{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  std::vector<SharedVariable> found;
  const auto* header = table<ElfW(Ehdr)>(file, 0, 1);
  if (header == nullptr || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return found;
  const auto* sections = table<ElfW(Shdr)>(file, header->e_shoff, header->e_shnum);
  for (int s = 0; sections != nullptr && s < header->e_shnum; ++s) {
    const auto& section = sections[s];
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= header->e_shnum) continue;
    const auto& strings = sections[section.sh_link];
    const std::uint64_t count = section.sh_size / sizeof(ElfW(Sym));
    const auto* symbols = table<ElfW(Sym)>(file, section.sh_offset, count);
    const auto* names = table<char>(file, strings.sh_offset, strings.sh_size);
    if (symbols == nullptr || names == nullptr || strings.sh_size == 0 || names[strings.sh_size - 1] != 0) continue;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto& symbol = symbols[i];
      if ((symbol.st_info & 0xf) != STT_TLS || symbol.st_size == 0 || symbol.st_name >= strings.sh_size) continue;
      found.push_back({symbol.st_value, symbol.st_value + symbol.st_size, variable_name(names + symbol.st_name)});
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  return found;
}

}  // namespace ranvier::sim
