// DLPack for Python: capsules out and in.
#include "core/dlpack.h"

#include <cstring>
#include <utility>
#include <vector>

#include "core/device_memory.h"
#include "core/error.h"
#include "core/recording.h"
#include "cuda/runtime/runtime.h"
#include "ops/binding.h"
#include "ops/shape.h"

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
                              dlpack_device(array.device()),
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

// The standard's streams: None and 1 are CUDA's default, 2 its per-thread default, -1 asks for no order at all.
void let_consumer_wait(int device, const py::object& stream) {
  const auto number = stream.is_none() ? int64_t{1} : stream.cast<int64_t>();
  if (number == -1) return;
  if (number <= 0) throw ValueError(message("__dlpack__: stream ", number, " means nothing for CUDA"));
  gpu::wait_for_stream(device, static_cast<gpu::Handle>(number), gpu::current_stream(device));
}

py::object to_dlpack(const Array& array, const py::object& stream,
                     const std::optional<std::pair<int, int>>& max_version,
                     const std::optional<std::pair<int, int>>& dl_device, std::optional<bool> copy) {
  const DLDevice own = dlpack_device(array.device());
  const bool on_gpu = own.type == kDLCuda, simulated = array.device().kind == DeviceKind::Sim;
  if (!on_gpu && !stream.is_none()) throw ValueError("__dlpack__: stream must be None for memory of the CPU");
  const bool to_cpu = dl_device && *dl_device == std::pair<int, int>(kDLCpu, 0);
  if (dl_device && *dl_device != std::pair<int, int>(own.type, own.index) && !to_cpu) {
    throw py::buffer_error(message("__dlpack__: cannot export to DLPack device (", dl_device->first, ", ",
                                   dl_device->second, "); this array is in ", on_gpu ? "GPU" : "CPU",
                                   " memory, device (", own.type, ", ", own.index, ")"));
  }
  const bool must_copy = simulated || (on_gpu && to_cpu);
  if (must_copy && copy == false) {
    throw py::buffer_error(
        message("__dlpack__: an array on ", device_name(array.device()), " goes to the CPU as a copy only"));
  }
  const bool copied = must_copy || copy.value_or(false);
  Array shared = array;
  if (copied) {
    shared = Array::empty(array.shape(), array.dtype(), must_copy ? Device{} : array.device());
    copy_bytes(shared.device(), shared.raw(), array.device(), array.raw(), array.bytes());
  }
  if (on_gpu && !must_copy) let_consumer_wait(array.device().index, stream);
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

void copy_values_of(const DLTensor& tensor, Array& array) {
  if (tensor.device.type == kDLCuda) {
    char* first = static_cast<char*>(tensor.data) + tensor.byte_offset;
    const int device = array.device().index;
    if (dlpack_contiguous(tensor)) {
      copy_bytes(array.device(), array.raw(), array.device(), first, array.bytes());
    } else if (reinterpret_cast<uintptr_t>(first) % dtype_size(array.dtype()) != 0) {
      throw py::buffer_error("from_dlpack: a tensor on a GPU must be aligned to its elements");
    } else {
      const Array source = Array::borrow(first, {1}, array.dtype(), array.device(), true, [] {});
      copy_from_strides("from_dlpack", source, Shape(tensor.strides, tensor.strides + tensor.rank), array);
    }
    gpu::synchronize_stream(device, gpu::current_stream(device));  // the producer may use its memory again at once
    return;
  }
  if (on_host(array.device())) return copy_from_dlpack(tensor, array.raw());
  std::vector<char> values(array.bytes());
  copy_from_dlpack(tensor, values.data());
  set_values(array, values.data());
}

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
  // A GPU's tensor stays where it is; the CPU's goes to the device that was asked for.
  const bool from_gpu = tensor.device.type == kDLCuda;
  const Device target = from_gpu ? Device{DeviceKind::Cuda, tensor.device.index} : device;
  const bool moves = !from_gpu && !on_host(target), needs_copy = moves || !dlpack_contiguous(tensor);
  if (copy == false && (needs_copy || (flags & kDLIsCopied) != 0)) {
    throw py::buffer_error(message("from_dlpack: ",
                                   moves        ? "the tensor is in CPU memory"
                                   : needs_copy ? "the tensor is not C-contiguous and aligned"
                                                : "the producer has made a copy",
                                   ", so that copy=False cannot be met"));
  }
  const bool make_copy = needs_copy || copy.value_or(false);
  Array array;
  if (make_copy) {
    array = Array::empty(shape, dtype, target);
    copy_values_of(tensor, array);
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
  return Array::borrow(data, shape, dtype, target, (flags & kDLReadOnly) != 0, release);
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
      .def("__dlpack_device__",
           [](const Array& array) {
             const DLDevice device = dlpack_device(array.device());
             return std::pair<int, int>(device.type, device.index);
           })
      .def_static("from_dlpack_capsule", &from_dlpack_capsule, "capsule"_a, "copy"_a = py::none(), "device"_a = "cpu");
}

}  // namespace ranvier
