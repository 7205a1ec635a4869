// FrontDoor: what the functions of rv.ops are. A call goes the direct way if it can (direct.h), else to the op's
// Python function; and where that fails, to whoever knows what else the arguments may be (symbolic tensors).
#include <structmember.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <unordered_map>

#include "core/error.h"
#include "tape/direct.h"

namespace ranvier {
namespace {

std::unordered_map<std::string, Direct>& directs() {
  static auto* all = new std::unordered_map<std::string, Direct>;
  return *all;
}

}  // namespace

void add_direct(const std::string& name, Direct direct) { directs()[name] = std::move(direct); }

const Direct& find_direct(const std::string& name) {
  const auto found = directs().find(name);
  if (found == directs().end()) throw ValueError(message("there is no direct way to a kernel named ", name));
  return found->second;
}

// --- the object -----------------------------------------------------------------------------------------------

namespace {

// Not while a profiler stands at the functions of _core that the ops' Python calls.
std::atomic<bool> open_doors{true};

PyObject* set_direct(PyObject* /*module*/, PyObject* value) {
  const int open = PyObject_IsTrue(value);
  if (open >= 0) open_doors = open != 0;
  return open < 0 ? nullptr : Py_NewRef(Py_None);
}

struct FrontDoorObject {
  PyObject_HEAD PyObject* dict;  // name, documentation and so on: functools.update_wrapper puts them there
  PyObject* function;            // the op in Python
  PyObject* failed;              // called with function, arguments and options when that raised; or nullptr
  PyObject* names;               // of its parameters
  PyObject* defaults;            // of the last of them; or nullptr
  const Direct* direct;          // or nullptr
  vectorcallfunc call;
};

FrontDoorObject* as_door(PyObject* object) { return reinterpret_cast<FrontDoorObject*>(object); }

using Arguments = std::array<PyObject*, kMostArguments>;

// One argument for each parameter, borrowed; false where one is missing, or too many or unknown ones are given.
bool arrange(const FrontDoorObject& door, PyObject* const* args, std::size_t count, PyObject* options,
             Arguments& arguments) {
  const std::size_t arity = door.direct->arity;
  if (count > arity) return false;
  const std::size_t defaults = door.defaults == nullptr ? 0 : static_cast<std::size_t>(PyTuple_GET_SIZE(door.defaults));
  for (std::size_t i = 0; i < arity; ++i) {
    const bool optional = i + defaults >= arity;
    PyObject* absent =
        optional ? PyTuple_GET_ITEM(door.defaults, static_cast<Py_ssize_t>(i + defaults - arity)) : nullptr;
    arguments[i] = i < count ? args[i] : absent;
  }
  const Py_ssize_t named = options == nullptr ? 0 : PyTuple_GET_SIZE(options);
  for (Py_ssize_t k = 0; k < named; ++k) {
    std::size_t i = count;
    while (i < arity && PyTuple_GET_ITEM(door.names, static_cast<Py_ssize_t>(i)) != PyTuple_GET_ITEM(options, k)) ++i;
    if (i == arity) return false;  // names are interned: this one is no parameter
    arguments[i] = args[count + static_cast<std::size_t>(k)];
  }
  for (std::size_t i = count; i < arity; ++i) {
    if (arguments[i] == nullptr) return false;
  }
  return true;
}

// The result, or nullptr without an error where the direct way is not open.
PyObject* go_directly(const FrontDoorObject& door, PyObject* const* args, std::size_t count, PyObject* options) {
  Arguments arguments{};
  if (!arrange(door, args, count, options, arguments)) return nullptr;
  return door.direct->call(arguments.data());
}

// The op's function has raised: failed(function, args, options) gives the result, or NotImplemented for no.
PyObject* ask_what_else(const FrontDoorObject& door, PyObject* const* args, std::size_t count, PyObject* options) {
  py::error_already_set error;
  if (!error.matches(PyExc_Exception)) throw error;
  py::tuple given(count);
  for (std::size_t i = 0; i < count; ++i) given[i] = py::reinterpret_borrow<py::object>(args[i]);
  py::dict named;
  const Py_ssize_t names = options == nullptr ? 0 : PyTuple_GET_SIZE(options);
  for (Py_ssize_t k = 0; k < names; ++k) {
    named[PyTuple_GET_ITEM(options, k)] = py::reinterpret_borrow<py::object>(args[count + static_cast<std::size_t>(k)]);
  }
  py::object result = py::handle(door.failed)(py::handle(door.function), given, named);
  if (result.ptr() == Py_NotImplemented) throw error;
  return result.release().ptr();
}

PyObject* call_door(PyObject* self, PyObject* const* args, std::size_t flags, PyObject* options) {
  const FrontDoorObject& door = *as_door(self);
  const auto count = static_cast<std::size_t>(PyVectorcall_NARGS(flags));
  if (door.direct != nullptr && open_doors.load(std::memory_order_relaxed)) {
    PyObject* result = guarded([&] { return go_directly(door, args, count, options); });
    if (result != nullptr || PyErr_Occurred() != nullptr) return result;
  }
  PyObject* result = PyObject_Vectorcall(door.function, args, flags, options);
  if (result != nullptr || door.failed == nullptr) return result;
  return guarded([&] { return ask_what_else(door, args, count, options); });
}

// FrontDoor(function, direct, failed)
PyObject* door_new(PyTypeObject* type, PyObject* args, PyObject* /*options*/) {
  PyObject *function = nullptr, *name = nullptr, *failed = nullptr;
  if (PyArg_UnpackTuple(args, "FrontDoor", 3, 3, &function, &name, &failed) == 0) return nullptr;
  return guarded([&] {
    const py::handle code = py::handle(function).attr("__code__");
    const py::tuple names = code.attr("co_varnames")[py::slice(0, code.attr("co_argcount").cast<py::ssize_t>(), 1)];
    const py::object defaults = py::handle(function).attr("__defaults__");
    const Direct* direct = name == Py_None ? nullptr : &find_direct(py::handle(name).cast<std::string>());
    if (direct != nullptr && (direct->arity != names.size() || direct->arity > kMostArguments)) {
      throw ValueError(message("FrontDoor: ", std::string(py::str(name)), " takes ", direct->arity, " arguments"));
    }
    PyObject* self = checked(type->tp_alloc(type, 0));
    FrontDoorObject* door = as_door(self);
    door->function = Py_NewRef(function);
    door->failed = failed == Py_None ? nullptr : Py_NewRef(failed);
    door->names = names.inc_ref().ptr();
    door->defaults = defaults.is_none() ? nullptr : defaults.inc_ref().ptr();
    door->direct = direct;
    door->call = call_door;
    return self;
  });
}

int door_traverse(PyObject* self, visitproc visit, void* arg) {
  const FrontDoorObject* door = as_door(self);
  Py_VISIT(door->dict);
  Py_VISIT(door->function);
  Py_VISIT(door->failed);
  Py_VISIT(door->names);
  Py_VISIT(door->defaults);
  Py_VISIT(Py_TYPE(self));
  return 0;
}

int door_clear(PyObject* self) {
  FrontDoorObject* door = as_door(self);
  Py_CLEAR(door->dict);
  Py_CLEAR(door->function);
  Py_CLEAR(door->failed);
  Py_CLEAR(door->names);
  Py_CLEAR(door->defaults);
  return 0;
}

void door_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  door_clear(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// As a method of a class it is bound like any function; and so inspect and help take it for one.
PyObject* door_get(PyObject* self, PyObject* object, PyObject* /*type*/) {
  return object == nullptr || object == Py_None ? Py_NewRef(self) : PyMethod_New(self, object);
}

// Copies and pickles are of its name.
PyObject* door_reduce(PyObject* self, PyObject* /*unused*/) { return PyObject_GetAttrString(self, "__qualname__"); }

PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(FrontDoorObject, dict), READONLY, nullptr},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(FrontDoorObject, call), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyMethodDef methods[] = {
    {"__reduce__", door_reduce, METH_NOARGS, "__reduce__(self) -> str"},
    {nullptr, nullptr, 0, nullptr},
};

PyMethodDef functions[] = {
    {"_set_direct", set_direct, METH_O,
     "_set_direct(on: bool) -> None\n\nWhether calls of ops may go past their Python functions to the kernels."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

void add_front_door_type(py::module_& m) {
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("FrontDoor(function, direct, failed): what the functions of rv.ops are.")},
      {Py_tp_new, reinterpret_cast<void*>(door_new)},
      {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
      {Py_tp_traverse, reinterpret_cast<void*>(door_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(door_clear)},
      {Py_tp_dealloc, reinterpret_cast<void*>(door_dealloc)},
      {Py_tp_descr_get, reinterpret_cast<void*>(door_get)},
      {Py_tp_members, members},
      {Py_tp_methods, methods},
      {Py_tp_getset, properties},
      {0, nullptr},
  };
  static PyType_Spec spec = {"ranvier._core.FrontDoor", sizeof(FrontDoorObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL, slots};
  m.attr("FrontDoor") = py::reinterpret_steal<py::object>(checked(PyType_FromSpec(&spec)));
  if (PyModule_AddFunctions(m.ptr(), functions) != 0) throw py::error_already_set();
}

}  // namespace ranvier
