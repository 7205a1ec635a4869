#pragma once

#include "ops/image.h"

namespace ranvier {
namespace RANVIER_ISA {

void resize_forward(DType dtype, const void* x, void* y, const ImageResize& resize);

}  // namespace RANVIER_ISA
}  // namespace ranvier
