#include "ops/reduce.h"

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/binding.h"
#include "ops/elementwise.h"
#include "ops/shape.h"
#include "tape/direct.h"

namespace ranvier {
namespace {

using Axes = std::optional<Sizes>;  // absent: all of them

std::vector<bool> marked_axes(const char* op, const Array& x, const Axes& axes) {
  std::vector<bool> marked(x.rank(), !axes.has_value());
  if (!axes) return marked;
  for (const int64_t axis : *axes) {
    const int along = normalize_axis(op, axis, x);
    if (marked[along]) throw ValueError(message(op, ": axis ", axis, " is given twice"));
    marked[along] = true;
  }
  return marked;
}

Shape reduced_shape(const Shape& shape, const std::vector<bool>& marked, bool keepdims) {
  Shape result;
  result.reserve(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!marked[i]) result.push_back(shape[i]);
    if (marked[i] && keepdims) result.push_back(1);
  }
  return result;
}

void check_reducible(const char* op, const Array& x) {
  if (x.dtype() != DType::Float16 && x.dtype() != DType::BFloat16) return;
  throw TypeError(message(op, ": x must not be ", dtype_name(x.dtype()), "; cast it to float32 first"));
}

// An extreme of nothing does not exist; of no rows, it is no rows.
void check_not_empty(const char* op, const Array& x, const std::vector<bool>& marked) {
  for (int i = 0; i < x.rank(); ++i) {
    if (marked[i] && x.shape(i) == 0) {
      throw ValueError(message(op, ": axis ", i, " of shape ", shape_text(x.shape()), " is empty"));
    }
  }
}

// One pass per run of adjacent marked axes, the last run first: (..., run, rest) -> (..., rest).
struct Run {
  int begin, end;
};

std::vector<Run> runs_from_the_last(const std::vector<bool>& marked) {
  std::vector<Run> runs;
  for (int end = static_cast<int>(marked.size()); end > 0; --end) {
    if (!marked[end - 1]) continue;
    int begin = end - 1;
    while (begin > 0 && marked[begin - 1]) --begin;
    runs.push_back({begin, end});
    end = begin + 1;
  }
  if (runs.empty()) runs.push_back({static_cast<int>(marked.size()), static_cast<int>(marked.size())});  // length 1
  return runs;
}

// Where all marked axes stand together.
std::optional<Run> only_run(const std::vector<bool>& marked) {
  const int rank = static_cast<int>(marked.size());
  int begin = 0;
  while (begin < rank && !marked[begin]) ++begin;
  int end = begin;
  while (end < rank && marked[end]) ++end;
  for (int i = end; i < rank; ++i) {
    if (marked[i]) return std::nullopt;
  }
  return Run{begin, end};
}

// Axes that are `already_reduced` (none, if that is empty) do not count.
Rows rows_of(const Shape& shape, Run run, const std::vector<bool>& already_reduced) {
  Rows rows{1, 1, 1};
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    int64_t& side = i < run.begin ? rows.outer : i < run.end ? rows.columns : rows.inner;
    if (already_reduced.empty() || !already_reduced[i]) side *= shape[i];
  }
  return rows;
}

DType result_dtype(DType dtype, Reduction reduction) {
  const bool accumulates = reduction == Reduction::Sum || reduction == Reduction::Prod;
  return accumulates && !is_floating(dtype) ? DType::Int64 : dtype;
}

// x -> y over each of the runs, one step (from, to, rows) each; only the first reads x.
template <typename Step>
void reduce_runs(const Array& x, Array& y, const std::vector<bool>& marked, Step step) {
  const std::vector<Run> runs = runs_from_the_last(marked);
  std::vector<bool> done(x.rank(), false);
  Array from = x;
  for (const Run& run : runs) {
    const Rows rows = rows_of(x.shape(), run, done);
    Array to = &run == &runs.back() ? y : Array::empty({rows.outer, rows.inner}, y.dtype(), x.device());
    step(from, to, rows);
    for (int i = run.begin; i < run.end; ++i) done[i] = true;
    from = to;
  }
}

// `finish(kernels, y)` is what is still to be done to the sums.
template <typename Finish>
Array reduce(const char* op, Reduction reduction, const Array& x, const Axes& axes, bool keepdims, Finish finish) {
  check_reducible(op, x);
  const std::vector<bool> marked = marked_axes(op, x, axes);
  if (reduction == Reduction::Max || reduction == Reduction::Min) check_not_empty(op, x, marked);
  const DType dtype = x.dtype();
  Array y = Array::empty(reduced_shape(x.shape(), marked, keepdims), result_dtype(dtype, reduction), x.device());
  if (const std::optional<Run> run = only_run(marked)) {  // which is nearly always
    const Rows rows = rows_of(x.shape(), *run, {});
    dispatch_untyped(op, x, [=, x = x.lent(), y = y.lent()](const KernelTable& kernels) mutable {
      kernels.reduce.reduce(reduction, dtype, x.raw(), y.raw(), rows);
      finish(kernels, y);
    });
    return y;
  }
  dispatch_untyped(op, x, [=](const KernelTable& kernels) mutable {
    Reduction each = reduction;
    reduce_runs(x, y, marked, [&](const Array& from, Array& to, Rows rows) {
      kernels.reduce.reduce(each, from.dtype(), from.raw(), to.raw(), rows);
      if (each == Reduction::Squares) each = Reduction::Sum;  // those of the first run
    });
    finish(kernels, y);
  });
  return y;
}

Array reduce(const char* op, Reduction reduction, const Array& x, const Axes& axes, bool keepdims) {
  return reduce(op, reduction, x, axes, keepdims, [](const KernelTable& /*kernels*/, Array& /*y*/) {});
}

Array sum_forward(const Array& x, const Axes& axes, bool keepdims) {
  return reduce("sum", Reduction::Sum, x, axes, keepdims);
}
Array prod_forward(const Array& x, const Axes& axes, bool keepdims) {
  return reduce("prod", Reduction::Prod, x, axes, keepdims);
}
Array max_forward(const Array& x, const Axes& axes, bool keepdims) {
  return reduce("max", Reduction::Max, x, axes, keepdims);
}
Array min_forward(const Array& x, const Axes& axes, bool keepdims) {
  return reduce("min", Reduction::Min, x, axes, keepdims);
}

Array mean_of(const char* op, Reduction reduction, const Array& x, const Axes& axes, bool keepdims) {
  check_floating(op, "x", x);
  return reduce(op, reduction, x, axes, keepdims, [all = x.size()](const KernelTable& kernels, Array& y) {
    if (y.size() == 0) return;
    const int64_t each = all / y.size();
    kernels.reduce.mean_of_sum(y.dtype(), y.raw(), y.size(), static_cast<double>(each));
  });
}

Array mean_forward(const Array& x, const Axes& axes, bool keepdims) {
  return mean_of("mean", Reduction::Sum, x, axes, keepdims);
}
Array mean_of_squares_forward(const Array& x, const Axes& axes, bool keepdims) {
  return mean_of("mean_of_squares", Reduction::Squares, x, axes, keepdims);
}

// Every element is the only one of its reduction: y has as many.
bool reduces_nothing(const Array& x, const Array& y) { return y.size() == x.size() && y.size() > 0; }

Array norm_forward(const Array& x, const Axes& axes, bool keepdims) {
  check_floating("norm", "x", x);
  Array y = Array::empty(reduced_shape(x.shape(), marked_axes("norm", x, axes), keepdims), x.dtype(), x.device());
  if (reduces_nothing(x, y)) {
    dispatch_untyped("norm", x, [x = x.lent(), y = y.lent()](const KernelTable& kernels) mutable {
      kernels.elementwise.unary(UnaryOp::Absolute, x.dtype(), x.raw(), y.raw(), x.size());
    });
    return y;
  }
  return reduce("norm", Reduction::Squares, x, axes, keepdims,
                [](const KernelTable& kernels, Array& y) { kernels.reduce.root(y.dtype(), y.raw(), y.size()); });
}

// Whether any (all) elements are not 0.
Array truth(const char* op, bool all, const Array& x, const Axes& axes, bool keepdims) {
  check_reducible(op, x);
  const std::vector<bool> marked = marked_axes(op, x, axes);
  Array y = Array::empty(reduced_shape(x.shape(), marked, keepdims), DType::Bool, x.device());
  if (reduces_nothing(x, y)) {
    dispatch_untyped(op, x, [x = x.lent(), y = y.lent()](const KernelTable& kernels) mutable {
      kernels.elementwise.cast(x.dtype(), DType::Bool, x.raw(), y.raw(), x.size());
    });
    return y;
  }
  if (const std::optional<Run> run = only_run(marked)) {
    const Rows rows = rows_of(x.shape(), *run, {});
    dispatch_untyped(op, x, [=, x = x.lent(), y = y.lent()](const KernelTable& kernels) mutable {
      kernels.reduce.truth(all, x.dtype(), x.raw(), y.data<bool>(), rows);
    });
    return y;
  }
  dispatch_untyped(op, x, [=](const KernelTable& kernels) mutable {
    reduce_runs(x, y, marked, [&](const Array& from, Array& to, Rows rows) {
      kernels.reduce.truth(all, from.dtype(), from.raw(), to.data<bool>(), rows);
    });
  });
  return y;
}

Array any_forward(const Array& x, const Axes& axes, bool keepdims) { return truth("any", false, x, axes, keepdims); }
Array all_forward(const Array& x, const Axes& axes, bool keepdims) { return truth("all", true, x, axes, keepdims); }

// `axis` absent: the position in the flattened array.
Array argument(const char* op, bool largest, const Array& x, std::optional<int64_t> axis, bool keepdims) {
  check_reducible(op, x);
  const std::vector<bool> marked = marked_axes(op, x, axis ? Axes{{*axis}} : Axes{});
  check_not_empty(op, x, marked);
  Array y = Array::empty(reduced_shape(x.shape(), marked, keepdims), DType::Int32, x.device());
  const Rows rows = rows_of(x.shape(), *only_run(marked), {});
  if (rows.columns > INT32_MAX) {
    throw ValueError(message(op, ": ", rows.columns, " positions do not fit the int32 result"));
  }
  dispatch_untyped(op, x, [=](const KernelTable& kernels) mutable {
    kernels.reduce.argument(largest, x.dtype(), x.raw(), y.data<int32_t>(), rows);
  });
  return y;
}

Array argmax_forward(const Array& x, std::optional<int64_t> axis, bool keepdims) {
  return argument("argmax", true, x, axis, keepdims);
}
Array argmin_forward(const Array& x, std::optional<int64_t> axis, bool keepdims) {
  return argument("argmin", false, x, axis, keepdims);
}

// Reduced axes that are not the last ones are moved there first: the kernel wants whole rows.
Array logsumexp_forward(const Array& x, const Axes& axes, bool keepdims) {
  check_floating("logsumexp", "x", x);
  const std::vector<bool> marked = marked_axes("logsumexp", x, axes);
  Array y = Array::empty(reduced_shape(x.shape(), marked, keepdims), x.dtype(), x.device());
  if (reduces_nothing(x, y)) {  // log exp x
    dispatch_untyped("logsumexp", x, [x = x.lent(), y = y.lent()](const KernelTable& kernels) mutable {
      kernels.elementwise.cast(x.dtype(), y.dtype(), x.raw(), y.raw(), x.size());
    });
    return y;
  }
  Sizes order;
  Rows rows{1, 1, 1};
  for (const bool reduced : {false, true}) {
    for (int i = 0; i < x.rank(); ++i) {
      if (marked[i] != reduced) continue;
      order.push_back(i);
      (reduced ? rows.columns : rows.outer) *= x.shape(i);
    }
  }
  dispatch_untyped("logsumexp", x, [=](const KernelTable& kernels) mutable {
    const Array rowwise = transposed(x, order);
    kernels.reduce.logsumexp(x.dtype(), rowwise.raw(), y.raw(), rows);
  });
  return y;
}

}  // namespace

void bind_reduce(py::module_& m) {
  const auto reduction = [&](const std::string& name, auto* function) {
    m.def((name + "_forward").c_str(), function, "x"_a, "axes"_a = py::none(), "keepdims"_a = false, releases_gil());
    add_direct(name, function);
  };
  reduction("sum", &sum_forward);
  reduction("prod", &prod_forward);
  reduction("max", &max_forward);
  reduction("min", &min_forward);
  reduction("mean", &mean_forward);
  reduction("mean_of_squares", &mean_of_squares_forward);
  reduction("norm", &norm_forward);
  reduction("logsumexp", &logsumexp_forward);
  reduction("any", &any_forward);
  reduction("all", &all_forward);
  m.def("argmax_forward", &argmax_forward, "x"_a, "axis"_a = py::none(), "keepdims"_a = false, releases_gil());
  m.def("argmin_forward", &argmin_forward, "x"_a, "axis"_a = py::none(), "keepdims"_a = false, releases_gil());
  add_direct("argmax", &argmax_forward);
  add_direct("argmin", &argmin_forward);
}

}  // namespace ranvier
