// DLPack for Python: capsules out and in.
#include "core/dlpack.h"

#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/recording.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

// What differs between the two generations of managed tensors.
template <typename Managed>
struct Capsule;
template <>
struct Capsule<DLManagedTensor> {
  static constexpr const char* name = "dltensor";
  static constexpr const char* used = "used_dltensor";
  static uint64_t flags(const DLManagedTensor&) { return 0; }
};
template <>
struct Capsule<DLManagedTensorVersioned> {
  static constexpr const char* name = "dltensor_versioned";
  static constexpr const char* used = "used_dltensor_versioned";
  static uint64_t flags(const DLManagedTensorVersioned& managed) { return managed.flags; }
};

// --- out ------------------------------------------------------------------------------------------------

// A managed tensor together with what its pointers point to.
template <typename Managed>
struct Exported {
  Managed managed{};
  Array array;
  Shape shape;
  Shape strides;
};

template <typename Managed>
void delete_exported(Managed* managed) {
  delete static_cast<Exported<Managed>*>(managed->context);
}

// A capsule that nobody consumed takes its tensor with it.
template <typename Managed>
void destroy_capsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, Capsule<Managed>::name)) return;
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Capsule<Managed>::name));
  if (managed->deleter != nullptr) managed->deleter(managed);
}

template <typename Managed>
Exported<Managed>* export_array(const Array& array) {
  note_host_read("by another library, through DLPack");
  auto* exported = new Exported<Managed>;
  exported->array = array;
  exported->shape = array.shape();
  exported->strides.resize(array.shape().size());
  int64_t step = 1;
  for (std::size_t i = array.shape().size(); i-- > 0; step *= array.shape()[i]) exported->strides[i] = step;
  exported->managed.tensor = {exported->array.raw(),
                              {kDLCpu, 0},
                              array.rank(),
                              dlpack_type(array.dtype()),
                              exported->shape.data(),
                              exported->strides.data(),
                              0};
  exported->managed.context = exported;
  exported->managed.deleter = delete_exported<Managed>;
  return exported;
}

template <typename Managed>
py::object capsule_of(Managed* managed) {
  PyObject* capsule = PyCapsule_New(managed, Capsule<Managed>::name, destroy_capsule<Managed>);
  if (capsule == nullptr) {
    managed->deleter(managed);
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::object>(capsule);
}

py::object to_dlpack(const Array& array, const py::object& stream,
                     const std::optional<std::pair<int, int>>& max_version,
                     const std::optional<std::pair<int, int>>& dl_device, std::optional<bool> copy) {
  if (!stream.is_none()) throw ValueError("__dlpack__: stream must be None for memory of the CPU");
  if (dl_device && *dl_device != std::pair<int, int>(kDLCpu, 0)) {
    throw py::buffer_error(message("__dlpack__: cannot export to DLPack device (", dl_device->first, ", ",
                                   dl_device->second, "); this array is in CPU memory, device (1, 0)"));
  }
  const bool copied = copy.value_or(false);
  Array shared = array;
  if (copied) {
    shared = Array::empty_like(array);
    std::memcpy(shared.raw(), array.raw(), array.bytes());
  }
  if (max_version && max_version->first >= 1) {
    auto* exported = export_array<DLManagedTensorVersioned>(shared);
    exported->managed.major = 1;
    exported->managed.flags = (shared.readonly() ? kDLReadOnly : 0) | (copied ? kDLIsCopied : 0);
    return capsule_of(&exported->managed);
  }
  if (shared.readonly()) {
    throw py::buffer_error(
        "__dlpack__: this array is read-only, which DLPack can say from version 1 on only; ask for "
        "max_version=(1, 0), or copy=True");
  }
  return capsule_of(&export_array<DLManagedTensor>(shared)->managed);
}

// --- in -------------------------------------------------------------------------------------------------

// Consumes the capsule: from here on the tensor is ours to delete. Whatever is refused is refused before,
// and so stays with the capsule.
template <typename Managed>
Array consume(const py::object& capsule, std::optional<bool> copy, Device device) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), Capsule<Managed>::name));
  if (managed == nullptr) throw py::error_already_set();
  if constexpr (std::is_same_v<Managed, DLManagedTensorVersioned>) {
    if (managed->major != 1) {
      throw py::buffer_error(message("from_dlpack: the tensor is of DLPack version ", managed->major,
                                     "; versions 0 and 1 are understood"));
    }
  }
  const DLTensor& tensor = managed->tensor;
  const Shape shape = checked_dlpack_shape(tensor);
  const DType dtype = dtype_from_dlpack(tensor.dtype);
  const uint64_t flags = Capsule<Managed>::flags(*managed);
  const bool needs_copy = !dlpack_contiguous(tensor);
  if (copy == false && (needs_copy || (flags & kDLIsCopied) != 0)) {
    throw py::buffer_error(message(
        "from_dlpack: ", needs_copy ? "the tensor is not C-contiguous and aligned" : "the producer has made a copy",
        ", so that copy=False cannot be met"));
  }
  const bool make_copy = needs_copy || copy.value_or(false);
  Array array;
  if (make_copy) {
    array = Array::empty(shape, dtype, device);
    copy_from_dlpack(tensor, array.raw());
  }
  if (PyCapsule_SetName(capsule.ptr(), Capsule<Managed>::used) != 0) throw py::error_already_set();
  const auto release = [managed] {
    if (!python_is_running()) return;  // leaves its memory to the end of the process
    py::gil_scoped_acquire gil;
    if (managed->deleter != nullptr) managed->deleter(managed);
  };
  if (make_copy) {
    release();
    return array;
  }
  char* data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  return Array::borrow(data, shape, dtype, device, (flags & kDLReadOnly) != 0, release);
}

Array from_dlpack_capsule(const py::object& capsule, std::optional<bool> copy, const std::string& device_name) {
  if (!PyCapsule_CheckExact(capsule.ptr())) {
    throw TypeError(message("from_dlpack: expected a DLPack capsule but got ", Py_TYPE(capsule.ptr())->tp_name));
  }
  const Device device = device_argument(device_name);
  const char* name = PyCapsule_GetName(capsule.ptr());
  if (name == nullptr) {
    PyErr_Clear();
    throw ValueError("from_dlpack: a capsule without a name is no DLPack capsule");
  }
  if (std::strcmp(name, Capsule<DLManagedTensor>::name) == 0) return consume<DLManagedTensor>(capsule, copy, device);
  if (std::strcmp(name, Capsule<DLManagedTensorVersioned>::name) == 0) {
    return consume<DLManagedTensorVersioned>(capsule, copy, device);
  }
  if (std::strncmp(name, "used_dltensor", 13) == 0) {
    throw ValueError("from_dlpack: this capsule has been consumed; a DLPack capsule can be used once");
  }
  throw ValueError(message("from_dlpack: a capsule named '", name, "' is no DLPack capsule"));
}

}  // namespace

void bind_dlpack(py::class_<Array>& array) {
  array
      .def("__dlpack__", &to_dlpack, py::kw_only(), "stream"_a = py::none(), "max_version"_a = py::none(),
           "dl_device"_a = py::none(), "copy"_a = py::none())
      .def("__dlpack_device__", [](const Array&) { return std::pair<int, int>(kDLCpu, 0); })
      .def_static("from_dlpack_capsule", &from_dlpack_capsule, "capsule"_a, "copy"_a = py::none(), "device"_a = "cpu");
}

}  // namespace ranvier
