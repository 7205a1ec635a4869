// What the op files share to talk to Python. With module.cpp and csrc/tape they are the only files that see pybind11.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "core/array.h"

namespace ranvier {

namespace py = pybind11;
using namespace pybind11::literals;

// Kernels run without the GIL, so that other Python threads go on.
using releases_gil = py::call_guard<py::gil_scoped_release>;

// dtypes and devices cross the boundary as their names.
DType dtype_argument(const std::string& name);
Device device_argument(const std::string& name);

// A Python number as an array of one element, with the dtype and on the device of `like`.
Array scalar_like(const Array& like, py::handle value);

// False once the interpreter is going down, when no owner's Python code may run any more.
bool python_is_running();

void bind_array(py::module_& m);
void bind_dlpack(py::class_<Array>& array);
void bind_runtime(py::module_& m);

void bind_activation(py::module_& m);
void bind_ceiling(py::module_& m);
void bind_conv2d(py::module_& m);
void bind_cuda(py::module_& m);
void bind_elementwise(py::module_& m);
void bind_embedding(py::module_& m);
void bind_gemm(py::module_& m);
void bind_group_norm(py::module_& m);
void bind_image(py::module_& m);
void bind_ladder(py::module_& m);
void bind_loss(py::module_& m);
void bind_norm(py::module_& m);
void bind_optimizer(py::module_& m);
void bind_pool2d(py::module_& m);
void bind_random(py::module_& m);
void bind_recording(py::module_& m);
void bind_recurrent(py::module_& m);
void bind_reduce(py::module_& m);
void bind_shape(py::module_& m);
void bind_simulator(py::module_& m);
void bind_softmax(py::module_& m);
void bind_tape(py::module_& m);

}  // namespace ranvier

namespace pybind11::detail {

template <>
struct type_caster<ranvier::Sizes> : list_caster<ranvier::Sizes, int64_t> {};

}  // namespace pybind11::detail
