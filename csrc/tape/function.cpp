// Function: one call of an op on the tape. Its forward and backward are Python's (ranvier/ops).
#include <structmember.h>

#include <cstddef>
#include <new>
#include <string>

#include "core/error.h"
#include "tape/tape.h"

namespace ranvier {

thread_local bool tape_recording = true;

std::string name_of_function(PyObject* function) { return py::str(py::handle(function).attr("name")); }

namespace {

// --- the object -----------------------------------------------------------------------------------------------

PyObject* function_new(PyTypeObject* type, PyObject* /*args*/, PyObject* /*kwargs*/) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  FunctionObject* function = as_function_object(self);
  new (&function->edges) std::vector<Edge>();
  new (&function->saved) std::vector<Saved>();
  new (&function->outputs) std::vector<OutputSpec>();
  return self;
}

int function_traverse(PyObject* self, visitproc visit, void* arg) {
  const FunctionObject* function = as_function_object(self);
  Py_VISIT(function->kernels);
  Py_VISIT(function->needs);
  Py_VISIT(function->to_save);
  for (const Edge& edge : function->edges) Py_VISIT(edge.to.ptr());
  for (const Saved& saved : function->saved) {
    Py_VISIT(saved.array.ptr());
    Py_VISIT(saved.from.ptr());
  }
  Py_VISIT(Py_TYPE(self));
  return 0;
}

int function_clear(PyObject* self) {
  FunctionObject* function = as_function_object(self);
  Py_CLEAR(function->kernels);
  Py_CLEAR(function->needs);
  Py_CLEAR(function->to_save);
  // Moved out first: dropping what they hold may run Python code that looks at this node.
  const std::vector<Edge> edges = std::move(function->edges);
  const std::vector<Saved> saved = std::move(function->saved);
  function->edges.clear();
  function->saved.clear();
  return 0;
}

void function_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  function_clear(self);
  FunctionObject* function = as_function_object(self);
  function->edges.~vector();
  function->saved.~vector();
  function->outputs.~vector();
  type->tp_free(self);
  Py_DECREF(type);
}

// --- what is kept for backward --------------------------------------------------------------------------------

PyObject* save(PyObject* self, PyObject* const* arrays, Py_ssize_t count) {
  PyObject* tuple = PyTuple_New(count);
  if (tuple == nullptr) return nullptr;
  for (Py_ssize_t i = 0; i < count; ++i) PyTuple_SET_ITEM(tuple, i, Py_NewRef(arrays[i]));
  Py_XSETREF(as_function_object(self)->to_save, tuple);
  Py_RETURN_NONE;
}

[[noreturn]] void throw_changed(PyObject* self, const Saved& saved, const Array& array) {
  const auto shape = py::reinterpret_steal<py::object>(shape_tuple(array.shape()));
  PyErr_Format(PyExc_RuntimeError,
               "%s: an array of shape %R that backward needs was changed in place after the forward pass (version %llu "
               "then, %llu now)",
               name_of_function(self).c_str(), shape.ptr(), static_cast<unsigned long long>(saved.version),
               static_cast<unsigned long long>(array.version()));
  throw py::error_already_set();
}

PyObject* saved_tensor(PyObject* self, const Saved& saved) {
  if (!saved.array) return Py_NewRef(Py_None);
  const Array& array = array_in(saved.array.ptr());
  if (array.version() != saved.version) throw_changed(self, saved, array);
  if (saved.own_output) return wrap_array(saved.array.ptr(), self, saved.index);
  if (!saved.from) return wrap_array(saved.array.ptr(), Py_None, 0);
  if (is_tensor(saved.from.ptr())) return Py_NewRef(saved.from.ptr());
  return wrap_array(saved.array.ptr(), saved.from.ptr(), saved.index);
}

PyObject* get_saved(PyObject* self, void* /*closure*/) {
  return guarded([&]() -> PyObject* {
    const FunctionObject* function = as_function_object(self);
    if (function->freed) {
      PyErr_Format(PyExc_RuntimeError,
                   "%s: the tape's buffers were freed by an earlier backward; pass retain_graph=True to it",
                   name_of_function(self).c_str());
      throw py::error_already_set();
    }
    const auto count = static_cast<Py_ssize_t>(function->saved.size());
    auto tuple = py::reinterpret_steal<py::object>(checked(PyTuple_New(count)));
    for (Py_ssize_t i = 0; i < count; ++i) {
      PyTuple_SET_ITEM(tuple.ptr(), i, saved_tensor(self, function->saved[static_cast<std::size_t>(i)]));
    }
    return tuple.release().ptr();
  });
}

// --- the forward pass -----------------------------------------------------------------------------------------

// One call of apply: the inputs as they are or as tensors, and the arrays that forward gets.
class Call {
 public:
  Call(PyObject* type, PyObject* const* args, Py_ssize_t count, PyObject* names)
      : node_(py::reinterpret_steal<py::object>(checked(PyObject_CallNoArgs(type)))),
        self_(as_function_object(node_.ptr())),
        inputs_(args),
        count_(count),
        names_(names),
        options_(names == nullptr ? 0 : PyTuple_GET_SIZE(names)),
        values_(args + count) {}

  PyObject* run() {
    make_tensors();
    if (is_narrow()) {
      py::object result = widened();
      if (result.ptr() != Py_NotImplemented) return result.release().ptr();
    }
    find_kernels();
    const bool recorded = find_needs();
    const py::object result = forward();
    if (!PyTuple_Check(result.ptr())) {
      if (!recorded) return wrap_result(result.ptr());
      record(&result, 1);
      return wrap_result(result.ptr(), 0);
    }
    return wrap_results(result, recorded);
  }

 private:
  // Inputs that are no tensors become some; None stands for an absent one where the op allows it.
  void make_tensors() {
    for (Py_ssize_t i = 0; i < count_; ++i) {
      if (is_tensor(inputs_[i]) || (inputs_[i] == Py_None && is_optional(i))) continue;
      py::tuple given(count_);
      for (Py_ssize_t k = 0; k < count_; ++k) given[k] = py::reinterpret_borrow<py::object>(inputs_[k]);
      converted_ = node_.attr("_as_tensors")(given);
      inputs_ = reinterpret_cast<PyTupleObject*>(converted_.ptr())->ob_item;
      return;
    }
  }

  bool is_optional(Py_ssize_t position) const {
    const py::object optional = node_.attr("optional");
    return optional.contains(py::int_(position));
  }

  void find_kernels() {
    for (Py_ssize_t i = 0; i < count_; ++i) {
      if (inputs_[i] == Py_None) continue;
      const bool reference = array_of_tensor(inputs_[i]).device().kind == DeviceKind::Reference;
      Py_XSETREF(self_->kernels, Py_NewRef(reference ? tape_types.reference : tape_types.core));
      return;
    }
    throw TypeError(message(name_of_function(node_.ptr()), ": expected at least one tensor"));
  }

  // Whether an input is of 16-bit floats: few ops have kernels for these, and not on every device.
  bool is_narrow() const {
    for (Py_ssize_t i = 0; i < count_; ++i) {
      if (inputs_[i] == Py_None) continue;
      const DType dtype = array_of_tensor(inputs_[i]).dtype();
      if (dtype == DType::Float16 || dtype == DType::BFloat16) return true;
    }
    return false;
  }

  // The op on float32, or NotImplemented where its kernels take the inputs as they are: Python decides.
  py::object widened() const {
    py::tuple given(count_);
    for (Py_ssize_t i = 0; i < count_; ++i) given[i] = py::reinterpret_borrow<py::object>(inputs_[i]);
    return node_.attr("_widened")(given, options());
  }

  py::dict options() const {
    py::dict options;
    for (Py_ssize_t i = 0; i < options_; ++i) {
      options[py::handle(PyTuple_GET_ITEM(names_, i))] = py::reinterpret_borrow<py::object>(values_[i]);
    }
    return options;
  }

  bool needs_gradient(Py_ssize_t i) const {
    return inputs_[i] != Py_None && as_tensor_object(inputs_[i])->requires_grad != 0;
  }

  bool find_needs() {
    bool any = false;
    PyObject* needs = checked(PyTuple_New(count_));
    for (Py_ssize_t i = 0; i < count_; ++i) {
      const bool need = tape_recording && needs_gradient(i);
      any = any || need;
      PyTuple_SET_ITEM(needs, i, Py_NewRef(need ? Py_True : Py_False));
    }
    Py_XSETREF(self_->needs, needs);
    return any;
  }

  // self.forward(*arrays, **options)
  py::object forward() {
    static PyObject* const method = PyUnicode_InternFromString("forward");
    std::vector<PyObject*> stack(static_cast<std::size_t>(2 + count_ + options_));  // the first is CPython's to use
    PyObject** arguments = stack.data() + 1;
    arguments[0] = node_.ptr();
    for (Py_ssize_t i = 0; i < count_; ++i) {
      arguments[1 + i] = inputs_[i] == Py_None ? Py_None : array_object_of_tensor(inputs_[i]);
    }
    for (Py_ssize_t i = 0; i < options_; ++i) arguments[1 + count_ + i] = values_[i];
    const auto flags = static_cast<std::size_t>(1 + count_) | PY_VECTORCALL_ARGUMENTS_OFFSET;
    PyObject* result = PyObject_VectorcallMethod(method, arguments, flags, names_);
    if (result == nullptr) throw_clearer();
    return py::reinterpret_steal<py::object>(result);
  }

  // The bindings' message for an argument of the wrong kind lists C++ signatures; Python says what came instead.
  [[noreturn]] void throw_clearer() {
    py::error_already_set error;
    if (!error.matches(PyExc_TypeError)) throw error;
    const py::object clearer = node_.attr("_clearer")(error.value(), options());
    if (clearer.is(error.value())) throw error;
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(clearer.ptr())), clearer.ptr());
    throw py::error_already_set();
  }

  void record(const py::object* outputs, Py_ssize_t count) {
    self_->edges.resize(static_cast<std::size_t>(count_));
    for (Py_ssize_t i = 0; i < count_; ++i) {
      if (!needs_gradient(i)) continue;
      const TensorObject* tensor = as_tensor_object(inputs_[i]);
      Edge& edge = self_->edges[static_cast<std::size_t>(i)];
      edge.to = py::reinterpret_borrow<py::object>(tensor->node == Py_None ? inputs_[i] : tensor->node);
      edge.index = tensor->index;
    }
    self_->outputs.reserve(static_cast<std::size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
      const Array& array = result_array(outputs[i].ptr());
      self_->outputs.push_back({array.shape(), array.dtype(), array.device()});
    }
    if (self_->to_save == nullptr) return;
    const Py_ssize_t kept = PyTuple_GET_SIZE(self_->to_save);
    self_->saved.reserve(static_cast<std::size_t>(kept));
    for (Py_ssize_t i = 0; i < kept; ++i) {
      self_->saved.push_back(place(PyTuple_GET_ITEM(self_->to_save, i), outputs, count));
    }
    Py_CLEAR(self_->to_save);
  }

  // Where an array that is saved stands on the tape: an input, an output, or a constant.
  Saved place(PyObject* array, const py::object* outputs, Py_ssize_t count) const {
    Saved saved;
    if (array == Py_None) return saved;
    saved.version = array_in(array).version();
    saved.array = py::reinterpret_borrow<py::object>(array);
    for (Py_ssize_t i = 0; i < count_; ++i) {
      if (inputs_[i] == Py_None || as_tensor_object(inputs_[i])->array != array) continue;
      const TensorObject* tensor = as_tensor_object(inputs_[i]);
      saved.from = py::reinterpret_borrow<py::object>(tensor->node == Py_None ? inputs_[i] : tensor->node);
      saved.index = tensor->index;
      return saved;
    }
    for (Py_ssize_t i = 0; i < count; ++i) {
      if (outputs[i].ptr() == array) {
        saved.own_output = true;
        saved.index = i;
      }
    }
    return saved;
  }

  const Array& result_array(PyObject* result) const {
    if (Py_TYPE(result) == tape_types.array) return array_in(result);
    throw TypeError(message(name_of_function(node_.ptr()), ": forward must return an Array or a tuple of them but ",
                            "returned ", Py_TYPE(result)->tp_name));
  }

  PyObject* wrap_result(PyObject* array) const {
    result_array(array);
    return wrap_array(array, Py_None, 0);
  }

  PyObject* wrap_result(PyObject* array, Py_ssize_t index) const {  // integers have no gradient
    const bool floating = is_floating(self_->outputs[static_cast<std::size_t>(index)].dtype);
    return wrap_array(array, floating ? node_.ptr() : Py_None, index);
  }

  PyObject* wrap_results(const py::object& results, bool recorded) {
    const Py_ssize_t count = PyTuple_GET_SIZE(results.ptr());
    if (recorded) {
      std::vector<py::object> outputs;
      for (const py::handle result : results) outputs.push_back(py::reinterpret_borrow<py::object>(result));
      record(outputs.data(), count);
    }
    py::tuple tensors(count);
    for (Py_ssize_t i = 0; i < count; ++i) {
      PyObject* array = PyTuple_GET_ITEM(results.ptr(), i);
      PyTuple_SET_ITEM(tensors.ptr(), i, recorded ? wrap_result(array, i) : wrap_result(array));
    }
    return tensors.release().ptr();
  }

  py::object node_;
  FunctionObject* self_;
  py::object converted_;  // a tuple that holds tensors made from other things
  PyObject* const* inputs_;
  Py_ssize_t count_;
  PyObject* names_;  // of the options, and their values
  Py_ssize_t options_;
  PyObject* const* values_;
};

PyObject* apply(PyObject* type, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  return guarded([&] { return Call(type, args, count, names).run(); });
}

// --- the mode -------------------------------------------------------------------------------------------------

PyObject* is_recording(PyObject* /*module*/, PyObject* /*unused*/) { return PyBool_FromLong(tape_recording ? 1 : 0); }

PyObject* set_recording(PyObject* /*module*/, PyObject* value) {
  const int recording = PyObject_IsTrue(value);
  if (recording < 0) return nullptr;
  PyObject* before = PyBool_FromLong(tape_recording ? 1 : 0);
  tape_recording = recording != 0;
  return before;
}

template <typename Pointer>
PyCFunction as_method(Pointer function) noexcept {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMemberDef members[] = {
    {"kernels", T_OBJECT_EX, offsetof(FunctionObject, kernels), READONLY, nullptr},
    {"needs", T_OBJECT_EX, offsetof(FunctionObject, needs), READONLY, nullptr},
    {"freed", T_BOOL, offsetof(FunctionObject, freed), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"saved", get_saved, nullptr, "What `save` kept, as Tensors.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef methods[] = {
    {"apply", as_method(apply), METH_CLASS | METH_FASTCALL | METH_KEYWORDS,
     "apply(*inputs: typing.Any, **params: typing.Any) -> typing.Any\n\n"
     "Runs the op on tensors (or None for an absent one), on the tape if any of them requires a gradient."},
    {"save", as_method(save), METH_FASTCALL,
     "save(*arrays: Array | None) -> None\n\n"
     "Keeps arrays for backward, where `self.saved` gives them as Tensors.\n\n"
     "Inputs and outputs keep their place on the tape; other arrays are constants there."},
    {nullptr, nullptr, 0, nullptr},
};

PyMethodDef functions[] = {
    {"_is_on_tape", is_recording, METH_NOARGS,
     "_is_on_tape() -> bool\n\nWhether ops on this thread are put on the tape."},
    {"_set_on_tape", set_recording, METH_O,
     "_set_on_tape(recording: bool) -> bool\n\nSets that, and gives what it was."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void add_function_type(py::module_& m) {
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("What rv.autograd.Function is made of: a node of the tape.")},
      {Py_tp_new, reinterpret_cast<void*>(function_new)},
      {Py_tp_traverse, reinterpret_cast<void*>(function_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(function_clear)},
      {Py_tp_dealloc, reinterpret_cast<void*>(function_dealloc)},
      {Py_tp_members, members},
      {Py_tp_getset, properties},
      {Py_tp_methods, methods},
      {0, nullptr},
  };
  static PyType_Spec spec = {"ranvier._core.FunctionBase", sizeof(FunctionObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  const auto type = py::reinterpret_steal<py::object>(checked(PyType_FromSpec(&spec)));
  tape_types.function_base = reinterpret_cast<PyTypeObject*>(type.ptr());
  m.attr("FunctionBase") = type;
  if (PyModule_AddFunctions(m.ptr(), functions) != 0) throw py::error_already_set();
}

}  // namespace ranvier
