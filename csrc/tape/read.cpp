// Reading the arguments of a call that goes the direct way.
#include <cstring>

#include "core/recording.h"
#include "tape/direct.h"

namespace ranvier {
namespace direct {
namespace {

bool read_integer(PyObject* argument, int64_t& integer) {
  if (PyLong_CheckExact(argument) == 0) return false;
  int overflow = 0;
  integer = PyLong_AsLongLongAndOverflow(argument, &overflow);
  return overflow == 0;
}

bool read_integers(PyObject* argument, Sizes& integers) {
  const bool list = PyList_CheckExact(argument) != 0;
  if (!list && PyTuple_CheckExact(argument) == 0) {
    integers.resize(1);
    return read_integer(argument, integers[0]);
  }
  integers.resize(static_cast<std::size_t>(PySequence_Fast_GET_SIZE(argument)));
  PyObject** items = PySequence_Fast_ITEMS(argument);
  for (std::size_t i = 0; i < integers.size(); ++i) {
    if (!read_integer(items[i], integers[i])) return false;
  }
  return true;
}

}  // namespace

namespace {

// False for a tensor that closes the direct way.
bool consider(PyObject* argument, Role role, Leader& leader) {
  if (!is_tensor(argument)) return true;
  const Array& array = array_of_tensor(argument);
  leader.releases_gil = leader.releases_gil || array.bytes() > kLargeBytes;
  if (role == Role::Option || leader.array != nullptr) return true;
  leader.array = &array;
  const bool floating = array.dtype() == DType::Float32 || array.dtype() == DType::Float64;
  return (floating || role == Role::AnyDtype) && array.device().kind == DeviceKind::Cpu;
}

}  // namespace

bool find_leader(PyObject* const* arguments, const Role* roles, std::size_t count, Leader& leader) {
  bool operands = false;
  for (std::size_t i = 0; i < count; ++i) {
    operands = operands || roles[i] != Role::Option;
    if (!consider(arguments[i], roles[i], leader)) return false;
    if (roles[i] != Role::AnyDtype || (PyList_CheckExact(arguments[i]) == 0 && PyTuple_CheckExact(arguments[i]) == 0))
      continue;
    PyObject** items = PySequence_Fast_ITEMS(arguments[i]);
    for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(arguments[i]); ++k) {
      if (!consider(items[k], roles[i], leader)) return false;
    }
  }
  return leader.array != nullptr || !operands;
}

PyObject* wrapped(std::optional<Parts> parts) {
  if (!parts) return nullptr;
  PyObject* list = checked(PyList_New(static_cast<Py_ssize_t>(parts->size())));
  for (std::size_t i = 0; i < parts->size(); ++i) {
    PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), wrap_array(std::move((*parts)[i])));
  }
  return list;
}

bool Operand::read(PyObject* argument, const Leader& leader) {
  if (!is_tensor(argument)) {
    if (PyFloat_CheckExact(argument) == 0 && PyLong_CheckExact(argument) == 0) return false;
    held = scalar_like(*leader.array, argument);
    array = &held;
    return true;
  }
  array = &array_of_tensor(argument);
  if (array->dtype() != leader.array->dtype() || array->device() != leader.array->device()) return false;
  if (tape_recording && as_tensor_object(argument)->requires_grad != 0) return false;
  if (leader.releases_gil) {
    held = *array;
    array = &held;
  }
  return true;
}

bool Mask::read(PyObject* argument, const Leader& leader) {
  if (!is_tensor(argument)) return false;
  array = array_of_tensor(argument);
  return array.dtype() == DType::Bool && array.device() == leader.array->device();
}

namespace {

// The format of a buffer's elements, where they are whole numbers in this machine's order; else false.
bool integer_format(const Py_buffer& view, DType& dtype) {
  const std::string format = view.format == nullptr ? "B" : view.format;
  if (format != "i" && format != "l" && format != "q") return false;
  dtype = view.itemsize == 8 ? DType::Int64 : DType::Int32;
  return true;
}

// A copy: its owner may write to it while a kernel reads.
bool read_buffer(PyObject* argument, Array& array) {
  Py_buffer view;
  if (PyObject_CheckBuffer(argument) == 0) return false;
  if (PyObject_GetBuffer(argument, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) {
    PyErr_Clear();
    return false;
  }
  DType dtype = DType::Int64;
  const bool fits = integer_format(view, dtype);
  if (fits) {
    array = Array::empty(Shape(view.shape, view.shape + view.ndim), dtype);
    std::memcpy(array.raw(), view.buf, array.bytes());
  }
  PyBuffer_Release(&view);
  return fits;
}

}  // namespace

bool Indices::read(PyObject* argument, const Leader& leader) {
  if (!is_tensor(argument)) return Recording::current() == nullptr && read_buffer(argument, array);
  array = array_of_tensor(argument);
  return is_integer(array.dtype()) && array.dtype() != DType::UInt8 && array.device() == leader.array->device();
}

bool Number::read(PyObject* argument, const Leader& /*leader*/) {
  if (PyFloat_CheckExact(argument) == 0) {
    int64_t integer = 0;
    if (!read_integer(argument, integer)) return false;
    number = static_cast<double>(integer);
    return true;
  }
  number = PyFloat_AS_DOUBLE(argument);
  return true;
}

bool ListOfArrays::read(PyObject* argument, const Leader& leader) {
  if (PyList_CheckExact(argument) == 0 && PyTuple_CheckExact(argument) == 0) return false;
  const auto count = static_cast<std::size_t>(PySequence_Fast_GET_SIZE(argument));
  PyObject** items = PySequence_Fast_ITEMS(argument);
  arrays.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Operand operand;
    if (!is_tensor(items[i]) || !operand.read(items[i], leader)) return false;
    arrays.push_back(operand.value());
  }
  return count > 0;
}

bool Integer::read(PyObject* argument, const Leader& /*leader*/) { return read_integer(argument, integer); }

bool MaybeNumber::read(PyObject* argument, const Leader& leader) {
  if (argument == Py_None) return true;
  Number given;
  const bool found = given.read(argument, leader);
  number = given.number;
  return found;
}

bool Word::read(PyObject* argument, const Leader& /*leader*/) {
  if (PyUnicode_CheckExact(argument) == 0) return false;
  Py_ssize_t length = 0;
  const char* text = PyUnicode_AsUTF8AndSize(argument, &length);
  if (text == nullptr) {  // lone surrogates: the op's Python names the argument that cannot be
    PyErr_Clear();
    return false;
  }
  word.assign(text, static_cast<std::size_t>(length));
  return true;
}

bool MaybeWord::read(PyObject* argument, const Leader& leader) {
  if (argument == Py_None) return true;
  Word given;
  if (!given.read(argument, leader)) return false;
  word = std::move(given.word);
  return true;
}

bool ConstantArgument::read(PyObject* argument, const Leader& leader) {
  Number given;
  if (!given.read(argument, leader)) return false;
  constant.number = given.number;
  if (PyFloat_CheckExact(argument) == 0) read_integer(argument, constant.integer.emplace());
  return true;
}

bool CutsArgument::read(PyObject* argument, const Leader& /*leader*/) {
  if (PyLong_CheckExact(argument) != 0) return read_integer(argument, cuts.parts.emplace());
  return read_integers(argument, cuts.places);
}

namespace {

bool read_key_item(PyObject* argument, KeyItem& item) {
  if (argument == Py_None) {
    item.kind = KeyItem::NewAxis;
  } else if (argument == Py_Ellipsis) {
    item.kind = KeyItem::Ellipsis;
  } else if (PySlice_Check(argument) != 0) {
    item.kind = KeyItem::Slice;
    if (PySlice_Unpack(argument, &item.begin, &item.end, &item.step) != 0) {
      PyErr_Clear();  // the op's Python meets the same error
      return false;
    }
  } else {
    int64_t number = 0;
    if (!read_integer(argument, number)) return false;
    item.kind = KeyItem::Number;
    item.begin = number;
  }
  return true;
}

bool read_pair(PyObject* argument, std::pair<int64_t, int64_t>& pair) {
  Sizes numbers;
  if (!read_integers(argument, numbers) || numbers.empty() || numbers.size() > 2) return false;
  pair = {numbers.front(), numbers.back()};
  return true;
}

}  // namespace

bool Key::read(PyObject* argument, const Leader& /*leader*/) {
  const bool several = PyTuple_CheckExact(argument) != 0;
  items.resize(several ? static_cast<std::size_t>(PyTuple_GET_SIZE(argument)) : 1);
  if (!several) return read_key_item(argument, items[0]);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!read_key_item(PyTuple_GET_ITEM(argument, static_cast<Py_ssize_t>(i)), items[i])) return false;
  }
  return true;
}

bool WidthsArgument::read(PyObject* argument, const Leader& /*leader*/) {
  widths.pairs.resize(1);
  if (read_pair(argument, widths.pairs[0])) return true;
  if (PyList_CheckExact(argument) == 0 && PyTuple_CheckExact(argument) == 0) return false;
  widths.pairs.resize(static_cast<std::size_t>(PySequence_Fast_GET_SIZE(argument)));
  PyObject** items = PySequence_Fast_ITEMS(argument);
  for (std::size_t i = 0; i < widths.pairs.size(); ++i) {
    if (PyLong_CheckExact(items[i]) != 0 || !read_pair(items[i], widths.pairs[i])) return false;
  }
  return !widths.pairs.empty();
}

bool Truth::read(PyObject* argument, const Leader& /*leader*/) {
  truth = argument == Py_True;
  return truth || argument == Py_False;
}

bool Axis::read(PyObject* argument, const Leader& /*leader*/) {
  return argument == Py_None || read_integer(argument, axis.emplace());
}

bool Integers::read(PyObject* argument, const Leader& /*leader*/) { return read_integers(argument, integers); }

bool Axes::read(PyObject* argument, const Leader& /*leader*/) {
  return argument == Py_None || read_integers(argument, axes.emplace());
}

}  // namespace direct

}  // namespace ranvier
