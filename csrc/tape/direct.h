// The direct way: from the arguments of a call in Python to a kernel, where nothing goes on the tape.
//
// An op is a Python function (ranvier/ops) that brings its operands to one dtype, makes a Function, and so reaches the
// kernel after a microsecond. A call with tensors of one floating dtype on the CPU, none of which wants a gradient,
// needs none of that. Where the op's parameters are, in order, those of a C++ function,
//
//   add_direct("elu", [](const Array& x, double alpha) { ... });
//
// reads them by their types and calls it. What is not of the plain kind (a list, an integer tensor, another device) is
// declined, and the op's Python sees to it. front_door.cpp is where calls come in.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "tape/tape.h"

namespace ranvier {

constexpr std::size_t kMostArguments = 8;

struct Direct {
  std::size_t arity;
  // A new reference; nullptr without an error where the arguments are not of the plain kind.
  std::function<PyObject*(PyObject* const* arguments)> call;
};

void add_direct(const std::string& name, Direct direct);
const Direct& find_direct(const std::string& name);  // ValueError where there is none

namespace direct {

// The first tensor among the operands (or in a list of them), and how the others are to be taken.
struct Leader {
  const Array* array = nullptr;  // none where an op has no operands: it makes arrays from nothing
  bool releases_gil = false;     // for small work is over before another thread could have taken the interpreter
};
constexpr std::size_t kLargeBytes = 128 << 10;  // some ten microseconds, a hundred times what letting go costs

// What a parameter is: one that the leader may be found in, of a floating dtype or of any, or something else.
enum class Role : uint8_t { Option, Floating, AnyDtype };

// False where the direct way is not open to the operands.
bool find_leader(PyObject* const* arguments, const Role* roles, std::size_t count, Leader& leader);

// What a parameter of each type accepts.
struct Operand {  // a tensor, or a number beside one
  const Array* array = nullptr;
  Array held = {};  // a number; or a copy of a tensor's array, which other threads may take from it while we run
  bool read(PyObject* argument, const Leader& leader);
  const Array& value() const { return *array; }
};
struct MaskArgument {
  const Array& array;
};
struct Mask {  // a tensor of truth values
  Array array = {};
  bool read(PyObject* argument, const Leader& leader);
  MaskArgument value() const { return {array}; }
};
struct IndicesArgument {
  const Array& array;
};
struct Indices {  // whole numbers: a tensor of int32 or int64, or a NumPy array
  Array array = {};
  bool read(PyObject* argument, const Leader& leader);
  IndicesArgument value() const { return {array}; }
};
struct Moved {  // what a tensor of any dtype holds, for ops without arithmetic
  const Array& array;
};
struct MovedOperand {
  Operand operand = {};
  bool read(PyObject* argument, const Leader& leader) { return operand.read(argument, leader); }
  Moved value() const { return {operand.value()}; }
};
struct Arrays {  // several of one dtype, in a list
  const std::vector<Array>& arrays;
};
struct ListOfArrays {
  std::vector<Array> arrays = {};
  bool read(PyObject* argument, const Leader& leader);
  Arrays value() const { return {arrays}; }
};
struct Number {
  double number = 0;
  bool read(PyObject* argument, const Leader& leader);
  double value() const { return number; }
};
struct Truth {
  bool truth = false;
  bool read(PyObject* argument, const Leader& leader);
  bool value() const { return truth; }
};
struct Integer {
  int64_t integer = 0;
  bool read(PyObject* argument, const Leader& leader);
  int64_t value() const { return integer; }
};
struct Word {  // a str
  std::string word = {};
  bool read(PyObject* argument, const Leader& leader);
  const std::string& value() const { return word; }
};
struct MaybeWord {  // or None
  std::optional<std::string> word = {};
  bool read(PyObject* argument, const Leader& leader);
  const std::optional<std::string>& value() const { return word; }
};
struct Constant {  // a number of which it matters whether it is whole
  double number = 0;
  std::optional<int64_t> integer = {};
};
struct ConstantArgument {
  Constant constant = {};
  bool read(PyObject* argument, const Leader& leader);
  const Constant& value() const { return constant; }
};
struct MaybeNumber {  // or None
  std::optional<double> number = {};
  bool read(PyObject* argument, const Leader& leader);
  std::optional<double> value() const { return number; }
};
struct Axis {  // an int or None
  std::optional<int64_t> axis = {};
  bool read(PyObject* argument, const Leader& leader);
  std::optional<int64_t> value() const { return axis; }
};
struct Integers {  // an int or several
  Sizes integers = {};
  bool read(PyObject* argument, const Leader& leader);
  const Sizes& value() const { return integers; }
};
struct Axes {  // an int, several, or None
  std::optional<Sizes> axes = {};
  bool read(PyObject* argument, const Leader& leader);
  const std::optional<Sizes>& value() const { return axes; }
};

struct KeyItem {  // of x[...]
  enum Kind : uint8_t { Number, Slice, Ellipsis, NewAxis } kind;
  Py_ssize_t begin = 0, end = 0, step = 1;
};
struct Key {
  std::vector<KeyItem> items = {};
  bool read(PyObject* argument, const Leader& leader);
  const std::vector<KeyItem>& value() const { return items; }
};
struct Cuts {  // a number of parts, or where they begin
  std::optional<int64_t> parts = {};
  Sizes places = {};
};
struct CutsArgument {
  Cuts cuts = {};
  bool read(PyObject* argument, const Leader& leader);
  const Cuts& value() const { return cuts; }
};
struct Widths {  // a number, a pair, or pairs (before, after)
  std::vector<std::pair<int64_t, int64_t>> pairs = {};
};
struct WidthsArgument {
  Widths widths = {};
  bool read(PyObject* argument, const Leader& leader);
  const Widths& value() const { return widths; }
};

template <typename Parameter>
struct ReaderOf;
template <>
struct ReaderOf<const Array&> : Operand {};
template <>
struct ReaderOf<MaskArgument> : Mask {};
template <>
struct ReaderOf<IndicesArgument> : Indices {};
template <>
struct ReaderOf<const Cuts&> : CutsArgument {};
template <>
struct ReaderOf<const Constant&> : ConstantArgument {};
template <>
struct ReaderOf<const std::optional<std::string>&> : MaybeWord {};
template <>
struct ReaderOf<Moved> : MovedOperand {};
template <>
struct ReaderOf<Arrays> : ListOfArrays {};
template <>
struct ReaderOf<const std::vector<KeyItem>&> : Key {};
template <>
struct ReaderOf<const Widths&> : WidthsArgument {};
template <>
struct ReaderOf<std::optional<double>> : MaybeNumber {};
template <>
struct ReaderOf<double> : Number {};
template <>
struct ReaderOf<bool> : Truth {};
template <>
struct ReaderOf<int64_t> : Integer {};
template <>
struct ReaderOf<const std::string&> : Word {};
template <>
struct ReaderOf<std::optional<int64_t>> : Axis {};
template <>
struct ReaderOf<const Sizes&> : Integers {};
template <>
struct ReaderOf<const std::optional<Sizes>&> : Axes {};

template <typename Parameter>
constexpr Role kRole = std::is_same_v<Parameter, const Array&>                                 ? Role::Floating
                       : std::is_same_v<Parameter, Moved> || std::is_same_v<Parameter, Arrays> ? Role::AnyDtype
                                                                                               : Role::Option;

// What a function may give back. None: it declines.
using Parts = std::vector<Array>;
struct View {  // the same elements: nothing that other threads would wait for
  std::optional<Array> array;
};
inline PyObject* wrapped(Array&& array) { return wrap_array(std::move(array)); }
inline PyObject* wrapped(std::optional<Array>&& found) { return found ? wrap_array(std::move(*found)) : nullptr; }
inline PyObject* wrapped(View&& view) { return wrapped(std::move(view.array)); }
PyObject* wrapped(std::optional<Parts> parts);  // as a list

template <typename Result, typename... Parameters, std::size_t... I>
Direct made(std::function<Result(Parameters...)> function, std::index_sequence<I...> /*positions*/) {
  return {sizeof...(Parameters), [function = std::move(function)](PyObject* const* arguments) -> PyObject* {
            static constexpr Role roles[] = {kRole<Parameters>...};
            Leader leader;
            std::tuple<ReaderOf<Parameters>...> read;
            if (!find_leader(arguments, roles, sizeof...(Parameters), leader)) return nullptr;
            if (!(std::get<I>(read).read(arguments[I], leader) && ...)) return nullptr;
            std::optional<py::gil_scoped_release> release;
            if (leader.releases_gil && !std::is_same_v<Result, View>) release.emplace();
            Result found = function(std::get<I>(read).value()...);
            release.reset();
            return wrapped(std::move(found));
          }};
}

template <typename Result, typename... Parameters>
Direct made(std::function<Result(Parameters...)> function) {
  return made(std::move(function), std::index_sequence_for<Parameters...>());
}

}  // namespace direct

template <typename Callable>
void add_direct(const std::string& name, Callable callable) {
  add_direct(name, direct::made(std::function(std::move(callable))));
}

}  // namespace ranvier
