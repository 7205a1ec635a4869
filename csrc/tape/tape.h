// The tape: what autograd must remember of a forward pass, and the walk back over it.
//
// A Tensor is an Array with a place on the tape. A Function is one call of an op on the tape: it holds an edge for
// each input (to the Function that made that input, or to the leaf Tensor itself) and the arrays that its gradient
// needs. So the tape is a graph that hangs from its results: drop the loss, and the graph goes with it.
//
//     x (leaf) --.                                      edges point from right to left
//                 Matmul --> y --> Softmax --> p
//     w (leaf) --'
//
// tensor.cpp    Tensor: array, requires_grad, grad, and the Function that made it
// function.cpp  Function: apply (the forward pass), save and saved
// front_door.cpp  where calls of ops come in, and go past the tape if they can
// read.cpp        what the arguments of such a call are
// backward.cpp  the walk in reverse topological order that adds up gradients
//
// Ops are written in Python (ranvier/ops), several in each layer of a network, so what surrounds their kernels is
// written in CPython's own C API: a call through it costs 50 ns where one through generated bindings costs 500.
// The Python classes rv.Tensor and rv.autograd.Function derive from these two.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ops/binding.h"

namespace ranvier {

struct TensorObject {
  PyObject_HEAD PyObject* array;  // the _core.Array; nullptr until Python asks for it, where a kernel's result
  std::optional<Array> own;       // is here: making a Python object of each would cost more than a small kernel
  PyObject* grad;                 // a Tensor, or None
  PyObject* node;                 // the Function that made it; None for a leaf
  PyObject* mask;                 // which time steps of a sequence count; nullptr but where a layer sets it
  PyObject* weak_references;
  Py_ssize_t index;  // which of the node's outputs this is
  char requires_grad;
};

// Where the gradient of an input goes.
struct Edge {
  py::object to;         // a Function, or a leaf Tensor; nothing where no gradient is wanted
  Py_ssize_t index = 0;  // which of the Function's outputs
};

// An array kept for backward, with the version that it had.
struct Saved {
  py::object array;  // nothing where None was saved
  py::object from;   // the leaf Tensor or the Function that it comes from; nothing for constants and own outputs
  Py_ssize_t index = 0;
  // An output of the very node that saves it does not hold that node: a cycle would keep both until the garbage
  // collector comes, and with them a training step's activations.
  bool own_output = false;
  uint64_t version = 0;
};

// What a gradient of an output must look like, and zeros where there is none.
struct OutputSpec {
  Shape shape;
  DType dtype;
  Device device;
};

struct FunctionObject {
  PyObject_HEAD PyObject* kernels;  // the functions that compute on the inputs' device
  PyObject* needs;                  // tuple of bool: which inputs want a gradient
  PyObject* to_save;                // what save() was given until the forward pass ends; else nullptr
  std::vector<Edge> edges;
  std::vector<Saved> saved;
  std::vector<OutputSpec> outputs;
  bool freed;  // by a backward pass: `saved` is gone
};

// Types and modules that are looked at in every call; the last two are Python's, from ranvier/autograd.py.
struct TapeTypes {
  PyTypeObject* tensor_base = nullptr;    // _core.TensorBase
  PyTypeObject* function_base = nullptr;  // _core.FunctionBase
  PyTypeObject* array = nullptr;          // _core.Array
  PyObject* core = nullptr;               // kernels of the CPU
  PyObject* add = nullptr;                // rv.ops.add, once gradients have met
  PyObject* get_item = nullptr;           // rv.ops.get_item, once a tensor has been indexed
  PyTypeObject* tensor = nullptr;         // rv.Tensor: what results are
  PyObject* reference = nullptr;          // kernels of the reference device
};
extern TapeTypes tape_types;

// Whether ops of this thread are put on the tape.
extern thread_local bool tape_recording;

inline bool is_tensor(PyObject* object) {
  return Py_TYPE(object) == tape_types.tensor || PyObject_TypeCheck(object, tape_types.tensor_base) != 0;
}
inline bool is_function(PyObject* object) { return PyObject_TypeCheck(object, tape_types.function_base) != 0; }
inline TensorObject* as_tensor_object(PyObject* object) { return reinterpret_cast<TensorObject*>(object); }
inline FunctionObject* as_function_object(PyObject* object) { return reinterpret_cast<FunctionObject*>(object); }

// The Array in a _core.Array; TypeError for anything else.
Array& array_in(PyObject* object);
Array& array_of_tensor(PyObject* tensor);
PyObject* array_object_of_tensor(PyObject* tensor);  // borrowed

// A Tensor over an array; with a node, output `index` of it on the tape.
PyObject* wrap_array(PyObject* array, PyObject* node, Py_ssize_t index);
PyObject* wrap_array(Array&& array);

// What results are from now on: rv.Tensor, which Python derives from TensorBase.
void set_tensor_type(PyTypeObject* type);

PyObject* shape_tuple(const Shape& shape);
std::string name_of_function(PyObject* function);

// Runs the body of a function that CPython calls: C++ exceptions become Python's.
template <typename Body>
auto guarded(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (...) {
    py::detail::try_translate_exceptions();
    if constexpr (std::is_pointer_v<decltype(body())>) {
      return nullptr;
    } else {
      return -1;
    }
  }
}

// Throws the Python error that a call into CPython left behind.
inline PyObject* checked(PyObject* result) {
  if (result == nullptr) throw py::error_already_set();
  return result;
}

void add_tensor_type(py::module_& m);
void add_function_type(py::module_& m);
void add_front_door_type(py::module_& m);

}  // namespace ranvier
