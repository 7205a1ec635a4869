#include "ops/embedding.h"

#include "core/checks.h"
#include "core/device_memory.h"
#include "core/dispatch.h"
#include "ops/binding.h"
#include "ops/elementwise.h"
#include "tape/direct.h"

namespace ranvier {

namespace {

// Indices are checked on the reference device too: there the CPU's kernels do it.
const KernelTable& integer_kernels(const char* op, const Array& integers) {
  return on_host(integers.device()) ? cpu_kernels() : *kernels_for(op, integers.device());
}

}  // namespace

Array as_int64(const Array& indices) {
  if (indices.dtype() == DType::Int64) return indices;
  Array wide = Array::empty(indices.shape(), DType::Int64, indices.device());
  run("as_int64", [from = indices, to = wide]() mutable {
    const gpu::OnDevice here(from.device());
    integer_kernels("as_int64", from).elementwise.cast(from.dtype(), to.dtype(), from.raw(), to.raw(), from.size());
    to.mark_written();
  });
  return wide;
}

std::optional<Outsider> find_outsider(const char* op, const Array& integers, int64_t lowest, int64_t highest) {
  const int64_t count = integers.size();
  if (count == 0) return std::nullopt;
  const gpu::OnDevice here(integers.device());
  const int64_t at =
      integer_kernels(op, integers).embedding.first_outside(integers.dtype(), integers.raw(), count, lowest, highest);
  if (at == count) return std::nullopt;
  const HostValues value(integers.reshape({count}).slice_leading(at, at + 1));
  return Outsider{at, integers.dtype() == DType::Int32 ? *value.data<int32_t>() : *value.data<int64_t>()};
}

namespace {

// Throws for a row number out of range.
void check_rows(const char* op, const Array& given, int64_t rows, bool wrap) {
  if (const auto outsider = find_outsider(op, given, wrap ? -rows : 0, rows - 1)) {
    throw ValueError(message(op, ": index ", outsider->value, " at position ", outsider->position,
                             " is out of range for ", rows, " rows"));
  }
}

}  // namespace

Array row_numbers(const char* op, const Array& indices, int64_t rows, bool wrap) {
  check_integer(op, "indices", indices);
  const Array wide = as_int64(indices);
  Array wrapped = wrap ? Array::empty_like(wide) : wide;
  run(op, [=]() mutable {
    check_rows(op, wide, rows, wrap);
    if (!wrap || wide.size() == 0) return;
    const gpu::OnDevice here(wide.device());
    integer_kernels(op, wide).embedding.wrap(wide.data<int64_t>(), wide.size(), rows, wrapped.data<int64_t>());
    wrapped.mark_written();
  });
  return wrapped;
}

TableShape table_shape(const Shape& shape, int axis, int64_t count) {
  TableShape table{1, shape[axis], count, 1};
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    if (i < axis) table.outer *= shape[i];
    if (i > axis) table.width *= shape[i];
  }
  return table;
}

void gather_rows(const char* op, const Array& x, const Array& rows, Array& y, TableShape shape) {
  if (y.size() == 0) return;
  dispatch_untyped(op, x, [=](const KernelTable& kernels) mutable {
    kernels.embedding.gather(x.raw(), rows.data<int64_t>(), y.raw(), shape,
                             static_cast<int64_t>(dtype_size(x.dtype())));
  });
}

void add_rows(const char* op, const Array& updates, const Array& rows, Array& y, TableShape shape) {
  dispatch_untyped(op, updates, [=](const KernelTable& kernels) mutable {
    kernels.embedding.scatter_add(updates.dtype(), updates.raw(), rows.data<int64_t>(), y.raw(), shape);
  });
}

namespace {

// indices (...), table (vocabulary, d) -> (..., d)
Array embedding_forward(const Array& indices, const Array& table) {
  check_rank("embedding", "table", table, 2);
  check_same_device("embedding", {{"indices", indices}, {"table", table}});
  const Array rows = row_numbers("embedding", indices, table.shape(0), false);
  Shape shape = indices.shape();
  shape.push_back(table.shape(1));
  Array y = Array::empty(shape, table.dtype(), table.device());
  gather_rows("embedding", table, rows, y, table_shape(table.shape(), 0, indices.size()));
  return y;
}

// Each row of the table gets the sum of what flowed to its uses, in the order of the indices.
Array embedding_backward(const Array& indices, const Array& dy, int64_t vocabulary) {
  check_floating("embedding gradient", "dy", dy);
  check_min_rank("embedding gradient", "dy", dy, 1);
  check_same_device("embedding gradient", {{"indices", indices}, {"dy", dy}});
  const Array rows = row_numbers("embedding gradient", indices, vocabulary, false);
  const int64_t width = dy.shape(dy.rank() - 1);
  Shape expected = indices.shape();
  expected.push_back(width);
  check_shape("embedding gradient", "dy", dy, expected);
  Array dtable = Array::zeros({vocabulary, width}, dy.dtype(), dy.device());
  add_rows("embedding gradient", dy, rows, dtable, table_shape(dtable.shape(), 0, indices.size()));
  return dtable;
}

}  // namespace

void bind_embedding(py::module_& m) {
  add_direct("embedding", [](direct::IndicesArgument indices, direct::Moved table) {
    return embedding_forward(indices.array, table.array);
  });
  m.def("embedding_forward", &embedding_forward, "indices"_a, "table"_a, releases_gil());
  m.def("embedding_backward", &embedding_backward, "indices"_a, "dy"_a, "vocabulary"_a, releases_gil());
}

}  // namespace ranvier
