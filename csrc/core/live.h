// What only the host can do again: a number that it reads when a kernel is launched, values that go to a GPU or come
// back. A recorded call that has done so is not captured into a CUDA graph, which knows nothing of the host.
#pragma once

namespace ranvier {

void note_live();
bool take_live();  // whether anything was noted on this thread since the last time

}  // namespace ranvier
