#include "ops/gemm.h"

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/checks.h"
#include "core/dispatch.h"
#include "ops/activation_name.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

// One operand of matmul: its last two axes as a matrix (a vector is a row on the left, a column on the
// right), the others as batch axes.
struct Operand {
  Shape batch;
  int64_t rows, columns;  // after transposition
  int64_t stored_columns;
};

Operand operand(const char* name, const Array& x, bool transpose, bool left) {
  check_storage("matmul", name, x);
  check_min_rank("matmul", name, x, 1);
  if (x.rank() == 1) {
    if (transpose) {
      throw ValueError(message("matmul: transpose_", name, " needs ", name, " of rank 2 or more but its shape is ",
                               shape_text(x.shape())));
    }
    const int64_t n = x.shape(0);
    return left ? Operand{{}, 1, n, n} : Operand{{}, n, 1, 1};
  }
  const int64_t rows = x.shape(x.rank() - 2);
  const int64_t columns = x.shape(x.rank() - 1);
  const Shape batch(x.shape().begin(), x.shape().end() - 2);
  return transpose ? Operand{batch, columns, rows, columns} : Operand{batch, rows, columns, columns};
}

Shape broadcast_batch(const Array& x1, const Array& x2, const Shape& a, const Shape& b) {
  const std::size_t rank = std::max(a.size(), b.size());
  Shape result(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    const int64_t from_a = i + a.size() < rank ? 1 : a[i + a.size() - rank];
    const int64_t from_b = i + b.size() < rank ? 1 : b[i + b.size() - rank];
    if (from_a != from_b && from_a != 1 && from_b != 1) {
      throw ValueError(message("matmul: batch axes do not broadcast: x1 has shape ", shape_text(x1.shape()),
                               ", x2 has shape ", shape_text(x2.shape())));
    }
    result[i] = from_a == 1 ? from_b : from_a;
  }
  return result;
}

// Where each matrix of the broadcast batch starts in an operand, in elements.
std::vector<int64_t> batch_offsets(const Shape& batch, const Shape& own, int64_t matrix) {
  std::vector<int64_t> offsets(1, 0);
  int64_t count = 1;
  for (int64_t side : batch) count *= side;
  offsets.assign(count, 0);
  int64_t own_stride = matrix;
  int64_t inner = 1;  // matrices of the batch per step along this axis
  for (std::size_t back = 1; back <= own.size(); ++back) {
    const int64_t side = batch[batch.size() - back];
    const int64_t own_side = own[own.size() - back];
    if (own_side != 1) {
      for (int64_t i = 0; i < count; ++i) offsets[i] += i / inner % side * own_stride;
    }
    own_stride *= own_side;
    inner *= side;
  }
  return offsets;
}

// The right operand is one matrix and the left one's rows lie one behind the other: a single product.
bool is_one_product(const Operand& a, const Operand& b, bool transpose_x1) {
  return b.batch.empty() && (a.batch.empty() || !transpose_x1);
}

template <typename T>
void run_matmul(const GemmKernels<T>& kernels, GemmArguments<T> product, const Operand& a, const Operand& b,
                const Shape& batch) {
  if (is_one_product(a, b, product.transpose_a)) {
    for (int64_t side : a.batch) product.m *= side;
    return kernels.gemm(product);
  }
  const std::vector<int64_t> a_offsets = batch_offsets(batch, a.batch, a.rows * a.columns);
  const std::vector<int64_t> b_offsets = batch_offsets(batch, b.batch, b.rows * b.columns);
  const std::vector<int64_t> c_offsets = batch_offsets(batch, batch, product.m * product.n);
  kernels.batched(product, static_cast<int64_t>(c_offsets.size()), a_offsets.data(), b_offsets.data(),
                  c_offsets.data());
}

Array matmul_forward(const Array& x1, const Array& x2, bool transpose_x1, bool transpose_x2) {
  const Operand a = operand("x1", x1, transpose_x1, true);
  const Operand b = operand("x2", x2, transpose_x2, false);
  check_alike("matmul", {{"x1", x1}, {"x2", x2}});
  if (a.columns != b.rows) {
    throw ValueError(message("matmul: x1 has ", a.columns, " columns (shape ", shape_text(x1.shape()),
                             transpose_x1 ? ", transposed" : "", ") but x2 has ", b.rows, " rows (shape ",
                             shape_text(x2.shape()), transpose_x2 ? ", transposed)" : ")"));
  }
  const Shape batch = broadcast_batch(x1, x2, a.batch, b.batch);
  Shape shape = batch;
  if (x1.rank() > 1) shape.push_back(a.rows);
  if (x2.rank() > 1) shape.push_back(b.columns);
  Array y = Array::empty(shape, x1.dtype(), x1.device());
  if (y.size() == 0) return y;
  dispatch_narrow("matmul", x1, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    GemmArguments<T> product;
    product.transpose_a = transpose_x1;
    product.transpose_b = transpose_x2;
    product.m = a.rows;
    product.n = b.columns;
    product.k = a.columns;
    product.a = x1.data<T>();
    product.lda = a.stored_columns;
    product.b = x2.data<T>();
    product.ldb = b.stored_columns;
    product.c = y.data<T>();
    product.ldc = b.columns;
    run_matmul<T>(kernels.gemm.template get<T>(), product, a, b, batch);
  });
  return y;
}

// --- dense: activation(x kernel + bias) ------------------------------------------------------------

using OptionalArray = std::optional<Array>;

struct DenseSizes {
  int64_t rows, inputs, outputs;
};

DenseSizes dense_sizes(const char* op, const Array& x, const Array& kernel) {
  check_storage(op, "x", x);
  check_alike(op, {{"x", x}, {"kernel", kernel}});
  check_min_rank(op, "x", x, 1);
  check_rank(op, "kernel", kernel, 2);
  const int64_t inputs = x.shape(x.rank() - 1);
  if (kernel.shape(0) != inputs) {
    throw ValueError(message(op, ": kernel has ", kernel.shape(0), " inputs (shape ", shape_text(kernel.shape()),
                             ") but x has ", inputs, " features (shape ", shape_text(x.shape()), ")"));
  }
  const int64_t rows = inputs > 0 ? x.size() / inputs : element_count(Shape(x.shape().begin(), x.shape().end() - 1));
  return {rows, inputs, kernel.shape(1)};
}

Shape dense_shape(const Array& x, int64_t outputs) {
  Shape shape(x.shape().begin(), x.shape().end() - 1);
  shape.push_back(outputs);
  return shape;
}

// y, and the sum before the activation if `keep_sum` and the activation's slope does not follow from y.
std::pair<Array, OptionalArray> dense_forward(const Array& x, const Array& kernel, const OptionalArray& bias,
                                              const std::string& activation_name, bool keep_sum) {
  const Activation activation = named_activation("dense", activation_name);
  const DenseSizes s = dense_sizes("dense", x, kernel);
  if (bias) {
    check_alike("dense", {{"x", x}, {"bias", *bias}});
    check_shape("dense", "bias", *bias, {s.outputs});
  }
  Array y = Array::empty(dense_shape(x, s.outputs), x.dtype(), x.device());
  OptionalArray sum;
  if (keep_sum && !slope_from_output(activation.kind)) sum = Array::empty_like(y);
  dispatch_narrow("dense", x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    GemmArguments<T> product;
    product.m = s.rows;
    product.n = s.outputs;
    product.k = s.inputs;
    product.a = x.data<T>();
    product.lda = s.inputs;
    product.b = kernel.data<T>();
    product.ldb = s.outputs;
    product.c = sum ? sum->data<T>() : y.data<T>();
    product.ldc = s.outputs;
    product.bias = bias ? bias->data<T>() : nullptr;
    if (!sum) product.activation = activation;
    kernels.gemm.template get<T>().gemm(product);
    if (sum) kernels.activation.template get<T>().forward(activation, sum->data<T>(), y.data<T>(), y.size());
  });
  return {y, sum};
}

// dx, dkernel and dbias, each only if wanted. saved: y, or the sum that dense_forward kept.
std::tuple<OptionalArray, OptionalArray, OptionalArray> dense_backward(const Array& x, const Array& kernel,
                                                                       const Array& saved, const Array& dy,
                                                                       const std::string& activation_name, bool want_x,
                                                                       bool want_kernel, bool want_bias) {
  const char* op = "dense gradient";
  const Activation activation = named_activation("dense", activation_name);
  const DenseSizes s = dense_sizes(op, x, kernel);
  check_alike(op, {{"x", x}, {"saved", saved}, {"dy", dy}});
  check_shape(op, "saved", saved, dense_shape(x, s.outputs));
  check_shape(op, "dy", dy, saved.shape());
  OptionalArray dx, dkernel, dbias;
  if (want_x) dx = Array::empty_like(x);
  if (want_kernel) dkernel = Array::empty_like(kernel);
  if (want_bias) dbias = Array::empty({s.outputs}, x.dtype(), x.device());
  const bool linear = activation.kind == ActivationKind::Linear;
  Array dz = linear ? dy : Array::empty_like(dy);
  dispatch_narrow(op, x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    const GemmKernels<T>& gemm = kernels.gemm.template get<T>();
    if (!linear && dy.size() > 0) {
      kernels.activation.template get<T>().backward(activation, saved.data<T>(), dy.data<T>(), dz.data<T>(), dy.size());
    }
    if (dbias) gemm.column_sums(dz.data<T>(), s.rows, s.outputs, dbias->data<T>());
    GemmArguments<T> product;
    if (dkernel) {  // x^T dz
      product.transpose_a = true;
      product.m = s.inputs;
      product.n = s.outputs;
      product.k = s.rows;
      product.a = x.data<T>();
      product.lda = s.inputs;
      product.b = dz.data<T>();
      product.ldb = s.outputs;
      product.c = dkernel->data<T>();
      product.ldc = s.outputs;
      gemm.gemm(product);
    }
    if (dx) {  // dz kernel^T
      product.transpose_a = false;
      product.transpose_b = true;
      product.m = s.rows;
      product.n = s.inputs;
      product.k = s.outputs;
      product.a = dz.data<T>();
      product.lda = s.outputs;
      product.b = kernel.data<T>();
      product.ldb = s.outputs;
      product.c = dx->data<T>();
      product.ldc = s.inputs;
      gemm.gemm(product);
    }
  });
  return {dx, dkernel, dbias};
}

Array column_sums(const Array& x) {
  check_storage("column_sums", "x", x);
  check_rank("column_sums", "x", x, 2);
  Array sums = Array::empty({x.shape(1)}, x.dtype(), x.device());
  dispatch_narrow("column_sums", x, [=](const KernelTable& kernels, auto type) mutable {
    using T = decltype(type);
    kernels.gemm.template get<T>().column_sums(x.data<T>(), x.shape(0), x.shape(1), sums.data<T>());
  });
  return sums;
}

}  // namespace

void bind_gemm(py::module_& m) {
  m.def("matmul_forward", &matmul_forward, "x1"_a, "x2"_a, "transpose_x1"_a = false, "transpose_x2"_a = false,
        releases_gil());
  m.def("dense_forward", &dense_forward, "x"_a, "kernel"_a, "bias"_a = py::none(), "activation"_a = "linear",
        "keep_sum"_a = false, releases_gil());
  m.def("dense_backward", &dense_backward, "x"_a, "kernel"_a, "saved"_a, "dy"_a, "activation"_a, "want_x"_a,
        "want_kernel"_a, "want_bias"_a, releases_gil());
  m.def("column_sums", &column_sums, "x"_a, releases_gil());
}

}  // namespace ranvier
