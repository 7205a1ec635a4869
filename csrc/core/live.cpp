#include "core/live.h"

#include <utility>

namespace ranvier {
namespace {

thread_local bool t_live = false;

}  // namespace

void note_live() { t_live = true; }
bool take_live() { return std::exchange(t_live, false); }

}  // namespace ranvier
