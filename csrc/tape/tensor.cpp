// Tensor: an Array with a place on the tape. Its methods are Python's (ranvier/tensor.py).
#include <structmember.h>

#include <array>
#include <cstddef>
#include <new>
#include <utility>

#include "core/error.h"
#include "tape/tape.h"

namespace ranvier {

TapeTypes tape_types;

Array& array_in(PyObject* object) {
  if (object != nullptr && Py_TYPE(object) == tape_types.array) {
    // What pybind11's caster finds in the end for a class without bases, without its search.
    void* value = reinterpret_cast<py::detail::instance*>(object)->simple_value_holder[0];
    if (value != nullptr) return *static_cast<Array*>(value);
  }
  throw TypeError(message("expected an Array but got ", object == nullptr ? "nothing" : Py_TYPE(object)->tp_name));
}

Array& array_of_tensor(PyObject* tensor) {
  TensorObject* self = as_tensor_object(tensor);
  return self->own ? *self->own : array_in(self->array);
}

PyObject* array_object_of_tensor(PyObject* tensor) {
  TensorObject* self = as_tensor_object(tensor);
  if (self->own) {
    self->array = py::cast(std::move(*self->own)).release().ptr();
    self->own.reset();
  }
  if (self->array == nullptr) throw TypeError("this tensor is empty");
  return self->array;
}

PyObject* shape_tuple(const Shape& shape) {
  PyObject* tuple = checked(PyTuple_New(static_cast<Py_ssize_t>(shape.size())));
  for (std::size_t i = 0; i < shape.size(); ++i) {
    PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), PyLong_FromLongLong(shape[i]));
  }
  return tuple;
}

namespace {

void fill_empty(TensorObject* self) {
  new (&self->own) std::optional<Array>();
  self->grad = Py_NewRef(Py_None);
  self->node = Py_NewRef(Py_None);
  self->index = 0;
  self->requires_grad = 0;
}

PyObject* tensor_new(PyTypeObject* type, PyObject* /*args*/, PyObject* /*kwargs*/) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) fill_empty(as_tensor_object(self));
  return self;
}

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {
  const TensorObject* tensor = as_tensor_object(self);
  Py_VISIT(tensor->array);
  Py_VISIT(tensor->grad);
  Py_VISIT(tensor->node);
  Py_VISIT(tensor->mask);
  Py_VISIT(Py_TYPE(self));
  return 0;
}

int tensor_clear(PyObject* self) {
  TensorObject* tensor = as_tensor_object(self);
  Py_CLEAR(tensor->array);
  tensor->own.reset();
  Py_CLEAR(tensor->grad);
  Py_CLEAR(tensor->node);
  Py_CLEAR(tensor->mask);
  return 0;
}

// A chain of nodes may be long: the trash can of CPython sees to it that freeing one does not recurse without bounds.
void tensor_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(self, tensor_dealloc);
  if (as_tensor_object(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  tensor_clear(self);
  as_tensor_object(self)->own.~optional();
  type->tp_free(self);
  Py_DECREF(type);
  Py_TRASHCAN_END;
}

// Names as Python strings, made once: a comparison with a literal is then one of pointers.
template <std::size_t N, typename Name>
PyObject* name_from(std::array<PyObject*, N>& names, std::size_t place, Name name) {
  if (names.at(place) == nullptr) names.at(place) = checked(PyUnicode_InternFromString(name().c_str()));
  return Py_NewRef(names.at(place));
}

PyObject* tensor_shape(PyObject* self, void* /*closure*/) {
  return guarded([&] { return shape_tuple(array_of_tensor(self).shape()); });
}
PyObject* tensor_ndim(PyObject* self, void* /*closure*/) {
  return guarded([&] { return PyLong_FromLong(array_of_tensor(self).rank()); });
}
PyObject* tensor_size(PyObject* self, void* /*closure*/) {
  return guarded([&] { return PyLong_FromLongLong(array_of_tensor(self).size()); });
}
PyObject* tensor_dtype(PyObject* self, void* /*closure*/) {
  static std::array<PyObject*, 16> names{};
  return guarded([&] {
    const DType dtype = array_of_tensor(self).dtype();
    return name_from(names, static_cast<std::size_t>(dtype), [&] { return std::string(dtype_name(dtype)); });
  });
}
PyObject* tensor_device(PyObject* self, void* /*closure*/) {
  static std::array<PyObject*, 1> cpu{};
  return guarded([&] {
    const Device device = array_of_tensor(self).device();
    if (device.kind == DeviceKind::Cpu) return name_from(cpu, 0, [] { return std::string("cpu"); });
    return checked(PyUnicode_FromString(device_name(device).c_str()));
  });
}

PyObject* get_array(PyObject* self, void* /*closure*/) {
  return guarded([&] { return Py_NewRef(array_object_of_tensor(self)); });
}
int set_array(PyObject* self, PyObject* array, void* /*closure*/) {
  return guarded([&] {
    array_in(array);
    Py_XSETREF(as_tensor_object(self)->array, Py_NewRef(array));
    as_tensor_object(self)->own.reset();
    return 0;
  });
}

PyMemberDef members[] = {
    {"grad", T_OBJECT_EX, offsetof(TensorObject, grad), 0, nullptr},
    {"node", T_OBJECT_EX, offsetof(TensorObject, node), READONLY, nullptr},
    {"index", T_PYSSIZET, offsetof(TensorObject, index), READONLY, nullptr},
    {"mask", T_OBJECT_EX, offsetof(TensorObject, mask), 0, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(TensorObject, weak_references), READONLY, nullptr},
    {"requires_grad", T_BOOL, offsetof(TensorObject, requires_grad), 0, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"array", get_array, set_array, "The Array that holds its elements.", nullptr},
    {"shape", tensor_shape, nullptr, "The sizes of its axes.", nullptr},
    {"ndim", tensor_ndim, nullptr, "The number of its axes.", nullptr},
    {"size", tensor_size, nullptr, "The number of its elements.", nullptr},
    {"dtype", tensor_dtype, nullptr, "The name of its elements' type.", nullptr},
    {"device", tensor_device, nullptr, "The name of the device that it is on.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

// tensor[key]. A slot, which spares Python the search for a method.
PyObject* tensor_get_item(PyObject* self, PyObject* key) {
  return guarded([&] {
    if (tape_types.get_item == nullptr) {
      tape_types.get_item = py::object(py::module_::import("ranvier.ops").attr("get_item")).release().ptr();
    }
    PyObject* const arguments[] = {self, key};  // NOLINT(*-avoid-c-arrays)
    return PyObject_Vectorcall(tape_types.get_item, arguments, 2, nullptr);
  });
}

PyObject* wrap(PyObject* /*module*/, PyObject* array) {
  return guarded([&] {
    array_in(array);
    return wrap_array(array, Py_None, 0);
  });
}

PyMethodDef functions[] = {
    {"_wrap", wrap, METH_O,
     "_wrap(array: Array) -> typing.Any\n\nA Tensor over an array without a copy, a leaf that requires no gradient."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

namespace {

TensorObject* new_tensor(PyObject* node, Py_ssize_t index) {
  PyTypeObject* type = tape_types.tensor;
  TensorObject* tensor = as_tensor_object(checked(type->tp_alloc(type, 0)));
  new (&tensor->own) std::optional<Array>();
  tensor->grad = Py_NewRef(Py_None);
  tensor->node = Py_NewRef(node);
  tensor->index = index;
  tensor->requires_grad = node != Py_None ? 1 : 0;
  return tensor;
}

}  // namespace

// rv.Tensor adds nothing that would have to be freed: TensorBase's deallocation is its own, a tenth of a short call
// less than the one that Python gives to classes written in Python. (Classes derived from rv.Tensor have Python's.)
void set_tensor_type(PyTypeObject* type) {
  tape_types.tensor = type;
  if (type->tp_basicsize == tape_types.tensor_base->tp_basicsize) type->tp_dealloc = tensor_dealloc;
}

PyObject* wrap_array(PyObject* array, PyObject* node, Py_ssize_t index) {
  TensorObject* tensor = new_tensor(node, index);
  tensor->array = Py_NewRef(array);
  return reinterpret_cast<PyObject*>(tensor);
}

PyObject* wrap_array(Array&& array) {
  TensorObject* tensor = new_tensor(Py_None, 0);
  tensor->own = std::move(array);
  return reinterpret_cast<PyObject*>(tensor);
}

void add_tensor_type(py::module_& m) {
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("What rv.Tensor is made of: an Array and its place on the tape.")},
      {Py_tp_new, reinterpret_cast<void*>(tensor_new)},
      {Py_tp_traverse, reinterpret_cast<void*>(tensor_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(tensor_clear)},
      {Py_tp_dealloc, reinterpret_cast<void*>(tensor_dealloc)},
      {Py_tp_members, members},
      {Py_tp_getset, properties},
      {Py_mp_subscript, reinterpret_cast<void*>(tensor_get_item)},
      {0, nullptr},
  };
  static PyType_Spec spec = {"ranvier._core.TensorBase", sizeof(TensorObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  const auto type = py::reinterpret_steal<py::object>(checked(PyType_FromSpec(&spec)));
  tape_types.tensor_base = reinterpret_cast<PyTypeObject*>(type.ptr());
  tape_types.tensor = tape_types.tensor_base;
  tape_types.array = reinterpret_cast<PyTypeObject*>(py::type::of<Array>().ptr());
  m.attr("TensorBase") = type;
  if (PyModule_AddFunctions(m.ptr(), functions) != 0) throw py::error_already_set();
}

}  // namespace ranvier
