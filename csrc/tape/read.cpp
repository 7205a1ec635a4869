// Reading the arguments of a call that goes the direct way.
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

bool read_integers(PyObject* argument, std::vector<int64_t>& integers) {
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

constexpr std::size_t kLargeBytes = 32 << 10;  // some microseconds

void lead(Leader& leader, const Array& array, bool any_dtype, bool& open) {
  leader.releases_gil = leader.releases_gil || array.bytes() > kLargeBytes;
  if (leader.array != nullptr || (array.dtype() == DType::Bool && !any_dtype)) return;
  const bool fits = any_dtype || array.dtype() == DType::Float32 || array.dtype() == DType::Float64;
  open = open && fits && array.device().kind == DeviceKind::Cpu;
  leader.array = &array;
}

}  // namespace

Leader leader_of(PyObject* const* arguments, std::size_t count, bool any_dtype) {
  Leader leader;
  bool open = true;
  for (std::size_t i = 0; i < count; ++i) {
    if (is_tensor(arguments[i])) lead(leader, array_of_tensor(arguments[i]), any_dtype, open);
    if (i > 0 || !any_dtype || (PyList_CheckExact(arguments[i]) == 0 && PyTuple_CheckExact(arguments[i]) == 0))
      continue;
    PyObject** items = PySequence_Fast_ITEMS(arguments[i]);
    for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(arguments[i]); ++k) {
      if (is_tensor(items[k])) lead(leader, array_of_tensor(items[k]), any_dtype, open);
    }
  }
  return open ? leader : Leader{};
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
  std::vector<int64_t> numbers;
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
