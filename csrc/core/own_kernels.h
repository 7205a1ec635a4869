// Kernels from outside the tree in the place of built-in ones (`rv.kernels.use`).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/device.h"
#include "core/kernel_table.h"

namespace ranvier {

// Loads a shared library that exports a RANVIER_KERNEL and puts its kernels into the table; returns the family. Throws
// ValueError for a file that is none, or one built for another version.
std::string use_kernels(const std::string& path);
void reset_kernels();  // the built-in ones again

// For benchmarks that compare the two: whether calls take the own kernels or the built-in ones.
void enable_own_kernels(bool on);

std::vector<std::pair<std::string, std::string>> own_kernels();  // families and paths, in the order of use

// The table with own kernels for that kind of device over `base`, or `base` itself where there are none.
const KernelTable* with_own_kernels(const KernelTable* base, DeviceKind device);

}  // namespace ranvier
