#include "sim/report.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "core/error.h"

namespace ranvier::sim {
namespace {

constexpr char kMark = '\x01';  // around an address that `with_places` turns into a line

std::atomic<LineFinder> line_finder{nullptr};

struct Sites {
  std::mutex mutex;
  std::map<std::pair<const char*, int>, Site*> known;
  std::unordered_set<const void*> places;
};
Sites& sites() {
  static auto* instance = new Sites;
  return *instance;
}

std::string file_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

std::string coordinates(const Size3& at) { return message("(", at.x, ",", at.y, ",", at.z, ")"); }

}  // namespace

// "void ranvier::launch(...) [with auto Kernel = {anonymous}::scale<float, 4>; Args = ...]" -> "scale<float, 4>"
std::string kernel_name(const char* pretty) {
  std::string name = pretty;
  const auto begin = name.find("Kernel = ");
  if (begin == std::string::npos) return name;
  name = name.substr(begin + 9);
  int depth = 0;
  std::size_t end = 0;
  for (; end < name.size(); ++end) {
    const char c = name[end];
    depth += c == '<' || c == '(' ? 1 : c == '>' || c == ')' ? -1 : 0;
    if (depth == 0 && (c == ';' || c == ']')) break;
  }
  name = name.substr(0, end);
  const auto template_begin = name.find('<');
  const auto scope = name.rfind("::", template_begin);
  return scope == std::string::npos ? name : name.substr(scope + 2);
}

std::string thread_name(const Run& run, int index) {
  const Size3 size = run.launch.block;
  const auto i = static_cast<unsigned>(index);
  return "thread " + coordinates(Size3{i % size.x, i / size.x % size.y, i / size.x / size.y});
}

std::string where(const Run& run, const Lane& lane) {
  return message(thread_name(run, lane.index), " of block ", coordinates(run.block_index));
}

std::string described(const Run& run) {
  const Options& options = run.options;
  std::string schedule = options.schedule == Schedule::Forward   ? "forward"
                         : options.schedule == Schedule::Reverse ? "reverse"
                                                                 : message("random, seed ", options.seed);
  const Size3 grid = run.launch.grid, block = run.launch.block;
  return message(run.kernel, ": ", run.failure, " [grid ", coordinates(grid), ", blocks of ", coordinates(block),
                 ", block ", coordinates(run.block_index), ", schedule ", schedule, "]");
}

const void* place_of(Site site) {
  Sites& s = sites();
  std::lock_guard<std::mutex> lock(s.mutex);
  Site*& known = s.known[{site.file, site.line}];
  if (known == nullptr) {
    known = new Site(site);  // as long-lived as code
    s.places.insert(known);
  }
  return known;
}

std::string at(Site site) { return message(file_name(site.file), ":", site.line); }

std::string at(const void* place) { return message(kMark, reinterpret_cast<std::uintptr_t>(place), kMark); }

std::string line_of(const void* place) {
  {
    Sites& s = sites();
    std::lock_guard<std::mutex> lock(s.mutex);
    if (s.places.count(place) != 0) return at(*static_cast<const Site*>(place));
  }
  const void* call = static_cast<const char*>(place) - 1;  // a return address: the access is before it
  Dl_info info{};
  if (dladdr(call, &info) == 0 || info.dli_fname == nullptr) return "an unknown place";
  const CodeAddress address{info.dli_fname, static_cast<std::uint64_t>(static_cast<const char*>(call) -
                                                                       static_cast<const char*>(info.dli_fbase))};
  if (const LineFinder finder = line_finder.load()) {
    const std::string found = finder(address);
    if (!found.empty()) return found;
  }
  std::ostringstream text;
  text << file_name(address.module) << "+0x" << std::hex << address.offset;
  return text.str();
}

std::string with_places(const std::string& report) {
  std::string text;
  std::size_t from = 0;
  while (true) {
    const auto begin = report.find(kMark, from);
    if (begin == std::string::npos) return text + report.substr(from);
    const auto end = report.find(kMark, begin + 1);
    const auto place = std::stoull(report.substr(begin + 1, end - begin - 1));
    text += report.substr(from, begin - from) + line_of(reinterpret_cast<const void*>(place));
    from = end + 1;
  }
}

void set_line_finder(LineFinder finder) { line_finder = finder; }

Options& options() {
  static Options instance;  // guarded by launch_mutex()
  return instance;
}

}  // namespace ranvier::sim
