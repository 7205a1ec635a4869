// Backward: the chain rule, applied from the outputs to the leaves.
//
// 1. Order: depth first from the outputs, iteratively, for graphs may be deep. A node's inputs stand before it; on the
//    way back all that use its result have had their turn before it has, and their gradients have met.
// 2. Relevance: a gradient is sent only where it leads to a leaf, or to a tensor that was asked for.
// 3. Walk: each node turns the gradients of its outputs into those of its inputs, which wait there for their turn.
#include <string>
#include <unordered_map>
#include <utility>

#include "core/device_memory.h"
#include "core/error.h"
#include "tape/tape.h"

namespace ranvier {
namespace {

using Node = FunctionObject*;

PyObject* as_object(Node node) { return reinterpret_cast<PyObject*>(node); }

// Puts the mode back when the walk ends, however it ends.
class ModeGuard {
 public:
  explicit ModeGuard(bool recording) : outer_(tape_recording) { tape_recording = recording; }
  ~ModeGuard() { tape_recording = outer_; }
  ModeGuard(const ModeGuard&) = delete;
  ModeGuard& operator=(const ModeGuard&) = delete;

 private:
  bool outer_;
};

// d output / d output: one, for a scalar.
py::object one_like(const Array& output) {
  if (output.size() != 1) {
    const auto shape = py::reinterpret_steal<py::object>(shape_tuple(output.shape()));
    throw ValueError(message("backward: an output of shape ", std::string(py::str(shape)),
                             " needs a gradient; only a scalar has its own"));
  }
  static constexpr float kOne32 = 1;
  static constexpr double kOne64 = 1;
  static constexpr uint16_t kOne16 = 0x3C00, kOneB16 = 0x3F80;
  Array one = Array::constant(output.shape(), output.dtype(), output.device());
  switch (output.dtype()) {
    case DType::Float64: set_values(one, &kOne64); break;
    case DType::Float16: set_values(one, &kOne16); break;
    case DType::BFloat16: set_values(one, &kOneB16); break;
    default: set_values(one, &kOne32); break;
  }
  return py::reinterpret_steal<py::object>(wrap_array(std::move(one)));
}

py::object zeros_like(const OutputSpec& spec) {
  return py::reinterpret_steal<py::object>(wrap_array(Array::zeros(spec.shape, spec.dtype, spec.device)));
}

// Adds a gradient to those that came before it.
void accumulate(py::object& total, const py::object& gradient) {
  if (!total) {
    total = gradient;
    return;
  }
  if (tape_types.add == nullptr) {
    tape_types.add = py::object(py::module_::import("ranvier.ops").attr("add")).release().ptr();
  }
  PyObject* const both[] = {total.ptr(), gradient.ptr()};
  total = py::reinterpret_steal<py::object>(checked(PyObject_Vectorcall(tape_types.add, both, 2, nullptr)));
}

class Walk {
 public:
  // `wanted` is None for all leaves, or a list of tensors.
  Walk(const py::list& outputs, const py::object& wanted, bool retain_graph)
      : outputs_(outputs), all_leaves_(wanted.is_none()), retain_graph_(retain_graph) {
    if (!all_leaves_) {
      wanted_ = py::reinterpret_borrow<py::list>(wanted);
      found_.resize(wanted_.size());
    }
    find_order();
    find_relevant();
  }

  void run(const py::list& gradients) {
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      PyObject* output = PyList_GET_ITEM(outputs_.ptr(), static_cast<Py_ssize_t>(i));
      const TensorObject* tensor = as_tensor_object(output);
      if (tensor->requires_grad == 0) continue;
      py::object gradient = gradients[i];
      if (gradient.is_none()) gradient = one_like(array_of_tensor(output));
      send(tensor->node == Py_None ? output : tensor->node, tensor->index, gradient);
    }
    for (auto place = order_.rbegin(); place != order_.rend(); ++place) {
      Step& step = *place;
      if (!step.reached) continue;
      pass_through(step);
      step.gradients.clear();
      if (!retain_graph_) {
        step.node->freed = true;
        const std::vector<Saved> dropped = std::move(step.node->saved);
        step.node->saved.clear();
      }
    }
  }

  // Each wanted tensor's gradient, None where there is none; or for all leaves, pairs of leaf and gradient.
  py::list result() {
    py::list list;
    for (const auto& [leaf, gradient] : leaves_) list.append(py::make_tuple(leaf, gradient));
    for (const py::object& gradient : found_) list.append(gradient ? gradient : py::object(py::none()));
    return list;
  }

 private:
  struct Step {
    Node node;
    bool relevant = false;
    bool reached = false;
    std::vector<py::object> gradients = {};                       // of its outputs, as far as they have come
    std::vector<std::pair<Py_ssize_t, std::size_t>> wanted = {};  // outputs that were asked for, and where they go
  };

  void find_order() {
    std::vector<std::pair<Node, bool>> stack;
    for (const py::handle output : outputs_) {
      PyObject* node = as_tensor_object(output.ptr())->node;
      if (node == Py_None) continue;
      roots_.push_back(py::reinterpret_borrow<py::object>(node));
      stack.emplace_back(as_function_object(node), false);
    }
    while (!stack.empty()) {
      const auto [node, finished] = stack.back();
      stack.pop_back();
      if (finished) {
        places_[node] = order_.size();
        order_.push_back({node});
        continue;
      }
      if (!places_.try_emplace(node, 0).second) continue;
      stack.emplace_back(node, true);
      for (const Edge& edge : node->edges) {
        if (edge.to && is_function(edge.to.ptr())) stack.emplace_back(as_function_object(edge.to.ptr()), false);
      }
    }
  }

  // Marks the nodes through which a gradient that somebody asked for passes, inputs before outputs.
  void find_relevant() {
    for (std::size_t i = 0; i < wanted_.size(); ++i) {
      PyObject* tensor = PyList_GET_ITEM(wanted_.ptr(), static_cast<Py_ssize_t>(i));
      const TensorObject* place = as_tensor_object(tensor);
      if (place->node == Py_None) {
        wanted_leaves_[tensor].push_back(i);
        continue;
      }
      const auto step = places_.find(as_function_object(place->node));
      if (step != places_.end()) order_[step->second].wanted.emplace_back(place->index, i);
    }
    for (Step& step : order_) {
      step.relevant = !step.wanted.empty();
      for (const Edge& edge : step.node->edges) step.relevant = step.relevant || leads_somewhere(edge);
    }
  }

  bool leads_somewhere(const Edge& edge) const {
    if (!edge.to) return false;
    if (is_function(edge.to.ptr())) return order_[places_.at(as_function_object(edge.to.ptr()))].relevant;
    return all_leaves_ || wanted_leaves_.count(edge.to.ptr()) > 0;
  }

  void send(PyObject* to, Py_ssize_t index, const py::object& gradient) {
    if (is_function(to)) {
      Step& step = order_[places_.at(as_function_object(to))];
      step.reached = true;
      step.gradients.resize(step.node->outputs.size());
      return accumulate(step.gradients.at(static_cast<std::size_t>(index)), gradient);
    }
    if (!all_leaves_) {
      const auto leaf = wanted_leaves_.find(to);
      if (leaf == wanted_leaves_.end()) return;
      accumulate(found_[leaf->second.front()], gradient);
      for (const std::size_t again : leaf->second) found_[again] = found_[leaf->second.front()];
      return;
    }
    const auto [place, fresh] = leaf_places_.try_emplace(to, leaves_.size());
    if (fresh) leaves_.emplace_back(py::reinterpret_borrow<py::object>(to), py::object());
    accumulate(leaves_[place->second].second, gradient);
  }

  void pass_through(Step& step) {
    for (const auto& [output, place] : step.wanted) {
      found_[place] = step.gradients.at(static_cast<std::size_t>(output));
    }
    const std::vector<Edge>& edges = step.node->edges;
    PyObject* needs = checked(PyTuple_New(static_cast<Py_ssize_t>(edges.size())));
    bool any = false;
    for (std::size_t i = 0; i < edges.size(); ++i) {
      const bool need = leads_somewhere(edges[i]);
      any = any || need;
      PyTuple_SET_ITEM(needs, static_cast<Py_ssize_t>(i), Py_NewRef(need ? Py_True : Py_False));
    }
    Py_XSETREF(step.node->needs, needs);
    if (!any) return;
    const py::object kept = py::reinterpret_borrow<py::object>(needs);
    const py::object result = backward_of(step);
    if (!PyTuple_Check(result.ptr())) {
      PyObject* const single[] = {result.ptr()};
      return send_all(step, kept, single, 1);
    }
    send_all(step, kept, reinterpret_cast<PyTupleObject*>(result.ptr())->ob_item, PyTuple_GET_SIZE(result.ptr()));
  }

  // node.backward(*gradients)
  static py::object backward_of(Step& step) {
    static PyObject* const method = PyUnicode_InternFromString("backward");
    fill_unused(step);
    std::vector<PyObject*> stack = {nullptr, as_object(step.node)};  // the first is CPython's to use
    for (const py::object& gradient : step.gradients) stack.push_back(gradient.ptr());
    const std::size_t flags = (stack.size() - 1) | PY_VECTORCALL_ARGUMENTS_OFFSET;
    return py::reinterpret_steal<py::object>(
        checked(PyObject_VectorcallMethod(method, stack.data() + 1, flags, nullptr)));
  }

  // Outputs that nobody used have a gradient of zero; an op may ask to be given None for them.
  static void fill_unused(Step& step) {
    for (std::size_t i = 0; i < step.gradients.size(); ++i) {
      if (step.gradients[i]) continue;
      const bool none = py::handle(as_object(step.node)).attr("takes_none").cast<bool>();
      step.gradients[i] = none ? py::none() : zeros_like(step.node->outputs[i]);
    }
  }

  void send_all(const Step& step, const py::object& needs, PyObject* const* gradients, Py_ssize_t count) {
    const std::vector<Edge>& edges = step.node->edges;
    if (static_cast<std::size_t>(count) != edges.size()) {
      throw ValueError(message(name_of_function(as_object(step.node)), ": backward returned ", count, " gradients for ",
                               edges.size(), " inputs"));
    }
    for (Py_ssize_t i = 0; i < count; ++i) {
      if (PyTuple_GET_ITEM(needs.ptr(), i) != Py_True || gradients[i] == Py_None) continue;
      const Edge& edge = edges[static_cast<std::size_t>(i)];
      const py::object gradient = Py_TYPE(gradients[i]) == tape_types.array
                                      ? py::reinterpret_steal<py::object>(wrap_array(gradients[i], Py_None, 0))
                                      : py::reinterpret_borrow<py::object>(gradients[i]);
      check_gradient(step, edge, gradient.ptr());
      send(edge.to.ptr(), edge.index, gradient);
    }
  }

  static void check_gradient(const Step& step, const Edge& edge, PyObject* gradient) {
    if (!is_tensor(gradient)) {
      throw TypeError(message(name_of_function(as_object(step.node)), ": backward must return Tensors or None but ",
                              "returned ", Py_TYPE(gradient)->tp_name));
    }
    if (!is_function(edge.to.ptr())) return;
    const OutputSpec& spec = as_function_object(edge.to.ptr())->outputs.at(static_cast<std::size_t>(edge.index));
    const Array& array = array_of_tensor(gradient);
    if (array.shape() == spec.shape && array.dtype() == spec.dtype) return;
    const auto told = [](const Shape& shape) {
      return std::string(py::str(py::reinterpret_steal<py::object>(shape_tuple(shape))));
    };
    throw ValueError(message("backward: the gradient of an output of ", name_of_function(edge.to.ptr()), " must be ",
                             dtype_name(spec.dtype), " of shape ", told(spec.shape), " but is ",
                             dtype_name(array.dtype()), " of shape ", told(array.shape())));
  }

  py::list outputs_;
  bool all_leaves_;
  bool retain_graph_;
  py::list wanted_;
  std::vector<py::object> roots_;  // keep the graph alive, whatever backward functions do
  std::vector<Step> order_;        // each node after those that made its inputs
  std::unordered_map<Node, std::size_t> places_;
  std::unordered_map<PyObject*, std::vector<std::size_t>> wanted_leaves_;
  std::vector<py::object> found_;                          // gradients of what was asked for
  std::vector<std::pair<py::object, py::object>> leaves_;  // where all leaves are wanted: in the order of arrival
  std::unordered_map<PyObject*, std::size_t> leaf_places_;
};

py::list run_backward(const py::list& outputs, const py::list& gradients, const py::object& wanted, bool retain_graph,
                      bool create_graph) {
  Walk walk(outputs, wanted, retain_graph);
  const ModeGuard mode(create_graph);
  walk.run(gradients);
  return walk.result();
}

void set_tape_types(const py::type& tensor, const py::object& reference) {
  set_tensor_type(reinterpret_cast<PyTypeObject*>(tensor.inc_ref().ptr()));
  tape_types.reference = reference.inc_ref().ptr();
}

}  // namespace

void bind_tape(py::module_& m) {
  tape_types.core = m.ptr();
  add_tensor_type(m);
  add_function_type(m);
  add_front_door_type(m);
  m.def("_run_backward", &run_backward, "outputs"_a, "gradients"_a, "wanted"_a, "retain_graph"_a, "create_graph"_a);
  m.def("_set_tape_types", &set_tape_types, "tensor"_a, "reference"_a);
}

}  // namespace ranvier
