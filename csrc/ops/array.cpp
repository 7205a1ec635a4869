// Array for Python: construction, views, the buffer protocol and NumPy.
#include "core/array.h"

#include <pybind11/numpy.h>

#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/checks.h"
#include "core/device_memory.h"
#include "core/recording.h"
#include "ops/binding.h"

namespace ranvier {

DType dtype_argument(const std::string& name) { return dtype_from_name(name.c_str()); }
Device device_argument(const std::string& name) { return device_from_name(name); }

bool python_is_running() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsInitialized() != 0 && Py_IsFinalizing() == 0;
#else
  return Py_IsInitialized() != 0 && _Py_IsFinalizing() == 0;
#endif
}

namespace {

struct Format {
  DType dtype;
  const char* code;  // of the buffer protocol and numpy.dtype(...)
};
// bfloat16 has no buffer format: it leaves by DLPack or as float32.
constexpr Format kFormats[] = {
    {DType::Float32, "f"}, {DType::Float64, "d"}, {DType::Float16, "e"}, {DType::Int32, "i"},
    {DType::Int64, "q"},   {DType::UInt8, "B"},   {DType::Bool, "?"},
};

const char* buffer_format(DType dtype) {
  for (const Format& format : kFormats) {
    if (format.dtype == dtype) return format.code;
  }
  throw py::buffer_error("array: bfloat16 has no buffer format; cast to float32, or use DLPack");
}

Shape row_strides(const Shape& shape, std::size_t item) {
  Shape strides(shape.size());
  int64_t step = static_cast<int64_t>(item);
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

py::buffer_info buffer_of(Array& array) {
  note_host_read("through the buffer protocol");
  if (!on_host(array.device())) {
    throw py::buffer_error(
        message("array: a buffer on ", device_name(array.device()), " is not the host's; numpy() copies"));
  }
  return py::buffer_info(array.raw(), static_cast<py::ssize_t>(dtype_size(array.dtype())), buffer_format(array.dtype()),
                         array.rank(), std::vector<py::ssize_t>(array.shape().begin(), array.shape().end()),
                         row_strides(array.shape(), dtype_size(array.dtype())), array.readonly());
}

DType dtype_of_numpy(const py::array& source) {
  const char kind = source.dtype().kind();
  const auto size = static_cast<std::size_t>(source.itemsize());
  for (const Format& format : kFormats) {
    if (py::dtype(format.code).kind() == kind && dtype_size(format.dtype) == size) return format.dtype;
  }
  throw TypeError("array: dtype " + py::str(source.dtype()).cast<std::string>() +
                  " is not supported; expected float32, float64, float16, int32, int64, uint8 or bool");
}

// Zero-copy where the host is to hold it and the source is C-contiguous, aligned and in native byte order; else a copy.
Array from_numpy(py::array source, bool copy, const std::string& device_name_text) {
  const Device device = device_argument(device_name_text);
  if (!source.dtype().attr("isnative").cast<bool>()) {
    source = py::array(source.attr("astype")(source.dtype().attr("newbyteorder")("=")));
  }
  const DType dtype = dtype_of_numpy(source);
  Shape shape(source.shape(), source.shape() + source.ndim());
  const bool contiguous = (source.flags() & py::array::c_style) != 0;
  const bool aligned = source.attr("flags").attr("aligned").cast<bool>();
  if (!copy && contiguous && aligned && on_host(device)) {
    auto* owner = new py::object(source);
    Array array =
        Array::borrow(const_cast<void*>(source.data()), std::move(shape), dtype, device, !source.writeable(), [owner] {
          if (!python_is_running()) return;
          py::gil_scoped_acquire gil;
          delete owner;
        });
    note_constant(array);
    return array;
  }
  Array array = Array::constant(std::move(shape), dtype, device);
  if (!contiguous || !aligned) source = py::module_::import("numpy").attr("array")(source, "order"_a = "C");
  set_values(array, source.data());
  return array;
}

// Of its bits in uint16 for bfloat16. A view where the host holds the array, which stays alive with it; else a copy.
py::array to_numpy(py::object self) {
  Array& array = self.cast<Array&>();
  note_host_read("as a NumPy array or a number");
  const bool here = on_host(array.device());
  py::array view(py::dtype(array.dtype() == DType::BFloat16 ? "H" : buffer_format(array.dtype())),
                 std::vector<py::ssize_t>(array.shape().begin(), array.shape().end()),
                 row_strides(array.shape(), dtype_size(array.dtype())), here ? array.raw() : nullptr,
                 here ? self : py::object());
  if (!here) {
    void* to = view.mutable_data();
    const py::gil_scoped_release release;
    copy_bytes({}, to, array.device(), array.raw(), array.bytes());
    return view;
  }
  if (array.readonly()) view.attr("setflags")("write"_a = false);
  return view;
}

// For pickle and copy.deepcopy.
py::tuple state_of(const Array& array) {
  note_host_read("by pickle or copy");
  const HostValues values(array);
  return py::make_tuple(array.shape(), dtype_name(array.dtype()), device_name(array.device()),
                        py::bytes(values.data<char>(), array.bytes()));
}

Array from_state(const py::tuple& state) {
  if (state.size() != 4) throw ValueError(message("array: a state has 4 parts, this one has ", state.size()));
  Array array = Array::constant(state[0].cast<Shape>(), dtype_argument(state[1].cast<std::string>()),
                                device_argument(state[2].cast<std::string>()));
  const auto values = state[3].cast<std::string_view>();
  if (values.size() != array.bytes()) {
    throw ValueError(message("array: a state of shape ", shape_text(array.shape()), " must hold ", array.bytes(),
                             " bytes but holds ", values.size()));
  }
  set_values(array, values.data());
  return array;
}

// The same bytes on another device: a copy.
Array to_device(const Array& array, const std::string& name) {
  Array copy = Array::empty(array.shape(), array.dtype(), device_argument(name));
  run("to_device", [from = array, to = copy]() mutable {
    copy_bytes(to.device(), to.raw(), from.device(), from.raw(), from.bytes());
  });
  copy.mark_written();
  return copy;
}

// Views of one array may overlap.
void assign_bytes(Array& to, const Array& from) {
  if (on_host(to.device())) {
    std::memmove(to.raw(), from.raw(), to.bytes());
    return;
  }
  if (to.raw() == from.raw()) return;
  const Array apart = to.shares_memory_with(from) ? from.copy() : from;
  copy_bytes(to.device(), to.raw(), apart.device(), apart.raw(), to.bytes());
}

void copy_into(Array& target, const Array& source) {
  check_writable("assign", "target", target);
  check_alike("assign", {{"target", target}, {"value", source}});
  check_shape("assign", "value", source, target.shape());
  run("assign", [from = source, to = target]() mutable { assign_bytes(to, from); });
  target.mark_written();
  target.bump_version();
}

}  // namespace

void bind_array(py::module_& m) {
  py::class_<Array> array(m, "Array", py::buffer_protocol(),
                          "A typed, C-contiguous, reference-counted block of numbers on one device.");
  bind_dlpack(array);
  array
      .def_static(
          "empty",
          [](Shape shape, const std::string& dtype, const std::string& device) {
            return Array::empty(std::move(shape), dtype_argument(dtype), device_argument(device));
          },
          "shape"_a, "dtype"_a = "float32", "device"_a = "cpu")
      .def_static(
          "zeros",
          [](Shape shape, const std::string& dtype, const std::string& device) {
            return Array::zeros(std::move(shape), dtype_argument(dtype), device_argument(device));
          },
          "shape"_a, "dtype"_a = "float32", "device"_a = "cpu")
      .def_static("from_numpy", &from_numpy, "source"_a, "copy"_a = true, "device"_a = "cpu")
      .def_buffer(&buffer_of)
      .def("numpy", &to_numpy)
      .def_property_readonly("address", [](const Array& a) { return reinterpret_cast<std::uintptr_t>(a.raw()); })
      .def_property_readonly("shape", [](const Array& a) { return py::tuple(py::cast(a.shape())); })
      .def_property_readonly("ndim", &Array::rank)
      .def_property_readonly("size", &Array::size)
      .def_property_readonly("nbytes", &Array::bytes)
      .def_property_readonly("dtype", [](const Array& a) { return dtype_name(a.dtype()); })
      .def_property_readonly("device", [](const Array& a) { return device_name(a.device()); })
      .def_property_readonly("on_reference", [](const Array& a) { return a.device().kind == DeviceKind::Reference; })
      .def_property_readonly("readonly", &Array::readonly)
      .def_property_readonly("version", &Array::version)
      .def("bump_version", &Array::bump_version)
      .def("reshape", &Array::reshape, "shape"_a)
      .def("slice_leading", &Array::slice_leading, "begin"_a, "end"_a)
      .def("shares_memory_with", &Array::shares_memory_with, "other"_a)
      .def(py::pickle(&state_of, &from_state))
      .def("copy", &Array::copy, releases_gil())
      .def("to_device", &to_device, "device"_a, releases_gil())
      .def("copy_from", &copy_into, "source"_a, releases_gil())
      .def("item", [](py::object self) { return to_numpy(self).attr("item")(); })
      .def("__repr__", [](const Array& a) {
        return message("<ranvier.Array ", dtype_name(a.dtype()), " ", shape_text(a.shape()), " on ",
                       device_name(a.device()), ">");
      });
}

}  // namespace ranvier
