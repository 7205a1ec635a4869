// Arrays on device `sim` lie in host memory; the simulator knows each, to tell what a kernel may touch.
#pragma once

#include <cstdint>

namespace ranvier::sim {

void add_array(const void* data, std::uint64_t bytes);  // nothing in it is known yet
void written_by_host(const void* data);  // all of it is: until then, reading what no kernel wrote is an error
void remove_array(const void* data);

}  // namespace ranvier::sim
