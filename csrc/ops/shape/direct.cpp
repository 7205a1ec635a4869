// The direct ways (tape/direct.h) of the ops that give the same elements another shape, or copy some of them. What a
// call gets wrong is left to the ops' Python, which says so.
#include <algorithm>
#include <optional>

#include "core/checks.h"
#include "core/device_memory.h"
#include "ops/shape.h"
#include "tape/direct.h"

namespace ranvier {
namespace {

using direct::Arrays;
using direct::KeyItem;
using direct::Moved;
using direct::View;
using Answer = std::optional<Array>;  // none: not this way

// --- views --------------------------------------------------------------------------------------------

Array viewed(const Array& x, Shape shape) { return x.reshape(std::move(shape)); }

View reshape(Moved x, const Sizes& newshape) {
  Shape shape = newshape;
  int64_t known = 1;
  int64_t* open = nullptr;
  for (int64_t& side : shape) {
    if (side == -1 && open == nullptr) {
      open = &side;
    } else if (side < 0 || __builtin_mul_overflow(known, side, &known)) {
      return {};
    }
  }
  if (open != nullptr) {
    if (known == 0) return {};
    *open = x.array.size() / known;
    known *= *open;
  }
  if (known != x.array.size()) return {};
  return {viewed(x.array, std::move(shape))};
}

// `axis` counted from the front, or -1.
int64_t within(int64_t axis, int64_t rank) { return axis < -rank || axis >= rank ? -1 : axis < 0 ? axis + rank : axis; }

View expand_dims(Moved x, const Sizes& axis) {
  Shape shape(x.array.shape().size() + axis.size(), -1);
  for (const int64_t each : axis) {
    const int64_t at = within(each, static_cast<int64_t>(shape.size()));
    if (at < 0 || shape[at] == 1) return {};
    shape[at] = 1;
  }
  auto side = x.array.shape().begin();
  for (int64_t& each : shape) {
    if (each < 0) each = *side++;
  }
  return {viewed(x.array, std::move(shape))};
}

View squeeze(Moved x, const std::optional<Sizes>& axis) {
  Shape shape = x.array.shape();
  if (!axis) {
    shape.erase(std::remove(shape.begin(), shape.end(), 1), shape.end());
    return {viewed(x.array, std::move(shape))};
  }
  for (const int64_t each : *axis) {
    const int64_t at = within(each, x.array.rank());
    if (at < 0 || x.array.shape(static_cast<int>(at)) != 1) return {};
    shape[at] = -1;
  }
  shape.erase(std::remove(shape.begin(), shape.end(), -1), shape.end());
  return {viewed(x.array, std::move(shape))};
}

// --- parts --------------------------------------------------------------------------------------------

struct Part {
  Sizes begins, steps, counts;
  Shape shape;
};

bool add_axis(Part& part, const KeyItem& item, int64_t length) {
  int64_t begin = 0, count = length, step = 1;
  if (item.kind == KeyItem::Number) {
    begin = within(item.begin, length);
    count = 1;
    if (begin < 0) return false;
  } else if (item.kind == KeyItem::Slice) {
    Py_ssize_t first = item.begin, last = item.end;
    count = PySlice_AdjustIndices(length, &first, &last, item.step);
    begin = count == 0 ? 0 : first;
    step = count > 1 ? item.step : 1;
  }
  part.begins.push_back(begin);
  part.steps.push_back(step);
  part.counts.push_back(count);
  if (item.kind != KeyItem::Number) part.shape.push_back(count);
  return true;
}

// Items that are missing are whole axes, where the ellipsis stands or at the end.
bool read_key(Part& part, const Array& x, const std::vector<KeyItem>& key) {
  int64_t missing = x.rank();
  int ellipses = 0;
  for (const KeyItem& item : key) {
    missing -= item.kind == KeyItem::Number || item.kind == KeyItem::Slice;
    ellipses += item.kind == KeyItem::Ellipsis;
  }
  if (missing < 0 || ellipses > 1) return false;
  part.begins.reserve(x.shape().size());
  part.steps.reserve(x.shape().size());
  part.counts.reserve(x.shape().size());
  part.shape.reserve(x.shape().size());
  int axis = 0;
  const auto add_missing = [&] {
    for (; missing > 0; --missing) add_axis(part, {KeyItem::Ellipsis}, x.shape(axis++));
  };
  for (const KeyItem& item : key) {
    if (item.kind == KeyItem::NewAxis) {
      part.shape.push_back(1);
    } else if (item.kind == KeyItem::Ellipsis) {
      add_missing();
    } else if (!add_axis(part, item, x.shape(axis++))) {
      return false;
    }
  }
  add_missing();
  return true;
}

// A view where whole rows follow each other.
Array part_of(const Array& x, Part part) {
  const Shape& sides = x.shape();
  const bool forward = std::all_of(part.steps.begin(), part.steps.end(), [](int64_t step) { return step == 1; });
  if (forward && part.counts == sides) return viewed(x, std::move(part.shape));
  if (forward && std::equal(sides.begin() + 1, sides.end(), part.counts.begin() + 1)) {
    return viewed(x.slice_leading(part.begins[0], part.begins[0] + part.counts[0]), std::move(part.shape));
  }
  return viewed(slice_forward(x, part.begins, part.steps, part.counts), std::move(part.shape));
}

Answer get_item(Moved x, const std::vector<KeyItem>& key) {
  Part part;
  if (!read_key(part, x.array, key)) return std::nullopt;
  return part_of(x.array, std::move(part));
}

// Into equal parts, or before each of the places.
std::optional<direct::Parts> split(Moved x, const direct::Cuts& cuts, int64_t axis) {
  const int64_t at = within(axis, x.array.rank());
  if (at < 0 || (cuts.parts && *cuts.parts < 1)) return std::nullopt;
  const int64_t length = x.array.shape(static_cast<int>(at));
  Sizes places = cuts.places;
  if (cuts.parts) {
    if (length % *cuts.parts != 0) return std::nullopt;
    for (int64_t i = 1; i < *cuts.parts; ++i) places.push_back(length / *cuts.parts * i);
  }
  places.push_back(length);
  direct::Parts parts;
  parts.reserve(places.size());
  int64_t begin = 0;
  for (const int64_t end : places) {
    if (end < begin || end > length) return std::nullopt;
    Part part{Sizes(x.array.shape().size(), 0), Sizes(x.array.shape().size(), 1), x.array.shape(), x.array.shape()};
    part.begins[at] = end > begin ? begin : 0;
    part.counts[at] = part.shape[at] = end - begin;
    parts.push_back(part_of(x.array, std::move(part)));
    begin = end;
  }
  return parts;
}

Answer flip(Moved x, const std::optional<Sizes>& axis) {
  const Shape& shape = x.array.shape();
  Sizes begins(shape.size(), 0), steps(shape.size(), 1);
  const auto turn = [&](int64_t at) {
    if (shape[at] < 2) return;
    begins[at] = shape[at] - 1;
    steps[at] = -1;
  };
  if (!axis) {
    for (int64_t at = 0; at < x.array.rank(); ++at) turn(at);
  } else {
    for (const int64_t each : *axis) {
      const int64_t at = within(each, x.array.rank());
      if (at < 0) return std::nullopt;
      turn(at);
    }
  }
  return slice_forward(x.array, begins, steps, shape);
}

// --- copies side by side --------------------------------------------------------------------------------

Array broadcast_to(Moved x, const Sizes& shape) {
  return x.array.shape() == shape ? x.array : broadcast_to_forward(x.array, shape);
}

Array concatenate(Arrays xs, int64_t axis) { return concatenate_forward(xs.arrays, axis); }

Answer stack(Arrays xs, int64_t axis) {
  Shape shape = xs.arrays.front().shape();
  const int64_t at = within(axis, static_cast<int64_t>(shape.size()) + 1);
  if (at < 0) return std::nullopt;
  for (const Array& x : xs.arrays) {
    if (x.shape() != shape) return std::nullopt;
  }
  shape.insert(shape.begin() + at, 1);
  std::vector<Array> apart;
  apart.reserve(xs.arrays.size());
  for (const Array& x : xs.arrays) apart.push_back(viewed(x, shape));
  return concatenate_forward(apart, at);
}

bool any_negative(const Sizes& sizes) {
  return std::any_of(sizes.begin(), sizes.end(), [](int64_t size) { return size < 0; });
}

// Axis i of x as the last of (1, side), the 1 of which is repeated.
Answer tile(Moved x, const Sizes& repeats) {
  if (any_negative(repeats)) return std::nullopt;
  const std::size_t rank = std::max(x.array.shape().size(), repeats.size());
  Shape apart, repeated, shape;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::size_t from_end = rank - i;
    const int64_t side = from_end > x.array.shape().size() ? 1 : x.array.shape()[x.array.shape().size() - from_end];
    const int64_t times = from_end > repeats.size() ? 1 : repeats[repeats.size() - from_end];
    int64_t product = 0;
    if (__builtin_mul_overflow(side, times, &product)) return std::nullopt;
    apart.insert(apart.end(), {1, side});
    repeated.insert(repeated.end(), {times, side});
    shape.push_back(product);
  }
  return viewed(broadcast_to_forward(viewed(x.array, std::move(apart)), repeated), std::move(shape));
}

Answer repeat(Moved x, const Sizes& repeats, std::optional<int64_t> axis) {
  Shape shape = axis ? x.array.shape() : Shape{x.array.size()};
  const int64_t at = within(axis.value_or(0), static_cast<int64_t>(shape.size()));
  if (at < 0 || repeats.size() != 1 || repeats[0] < 0) return std::nullopt;
  Shape apart = shape, repeated = shape;
  apart.insert(apart.begin() + at + 1, 1);
  repeated.insert(repeated.begin() + at + 1, repeats[0]);
  if (__builtin_mul_overflow(shape[at], repeats[0], &shape[at])) return std::nullopt;
  return viewed(broadcast_to_forward(viewed(x.array, std::move(apart)), repeated), std::move(shape));
}

Answer pad(Moved x, const direct::Widths& widths, const std::string& mode, std::optional<double> value) {
  const std::size_t rank = x.array.shape().size();
  if (mode != "constant" || (widths.pairs.size() != 1 && widths.pairs.size() != rank)) return std::nullopt;
  const DType dtype = x.array.dtype();
  if (value && dtype != DType::Float32 && dtype != DType::Float64) return std::nullopt;
  Sizes before(rank), after(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    std::tie(before[i], after[i]) = widths.pairs[widths.pairs.size() == 1 ? 0 : i];
  }
  Array fill = Array::constant({}, dtype, x.array.device());
  const double wide = value.value_or(0);
  const auto narrow = static_cast<float>(wide);
  if (dtype == DType::Float32) {
    set_values(fill, &narrow);
  } else if (dtype == DType::Float64) {
    set_values(fill, &wide);
  } else {
    constexpr int64_t kZero = 0;
    set_values(fill, &kZero);
  }
  return pad_forward(x.array, fill, before, after);
}

// --- by index -----------------------------------------------------------------------------------------

Answer take(Moved x, direct::IndicesArgument indices, std::optional<int64_t> axis) {
  if (axis && within(*axis, x.array.rank()) < 0) return std::nullopt;
  return take_forward(axis ? x.array : viewed(x.array, {x.array.size()}), indices.array, axis.value_or(0));
}

Answer scatter_add(Moved x, direct::IndicesArgument indices, Moved updates, int64_t axis) {
  const DType dtype = x.array.dtype();
  if (dtype == DType::Float16 || dtype == DType::BFloat16) return std::nullopt;  // to be widened
  if (within(axis, x.array.rank()) < 0) return std::nullopt;
  return scatter_add_forward(x.array, indices.array, updates.array, axis);
}

}  // namespace

void add_direct_shape_ops() {
  add_direct("reshape", &reshape);
  add_direct("expand_dims", &expand_dims);
  add_direct("squeeze", &squeeze);
  add_direct("get_item", &get_item);
  add_direct("split", &split);
  add_direct("take", &take);
  add_direct("scatter_add", &scatter_add);
  add_direct("flip", &flip);
  add_direct("broadcast_to", &broadcast_to);
  add_direct("concatenate", &concatenate);
  add_direct("stack", &stack);
  add_direct("tile", &tile);
  add_direct("repeat", &repeat);
  add_direct("pad", &pad);
  add_direct("transpose", [](Moved x, const std::optional<Sizes>& axes) { return transpose_forward(x.array, axes); });
}

}  // namespace ranvier
