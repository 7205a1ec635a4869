// One step: lstm_cell, gru_cell, simple_rnn_cell. Matrix products as of any layer, then the gates.
#include "cpu/recurrent/cells.h"
#include "ops/gemm.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<GemmKernels> gemm_kernels;

namespace {

template <typename T>
class Single {
 public:
  explicit Single(const RecurrentForward<T>& p) : p_(p), s_(p.sizes), columns_(kernel_gates(s_.cell) * s_.units) {}

  void run() {
    using B = Carver;
    const int64_t values = s_.batch * s_.units;
    const int64_t width = s_.cell == RecurrentCell::Gru ? 4 * s_.units : columns_;
    Carver carver(scratch(kScratchOuter, B::bytes<T>(s_.batch * width) + B::bytes<T>(values)));
    T* sums = carver.take<T>(s_.batch * width);
    T* zeros = carver.take<T>(p_.initial_h == nullptr ? values : 0);
    if (p_.initial_h == nullptr) clear(zeros, values);
    const T* before = p_.initial_h == nullptr ? zeros : p_.initial_h;
    multiply(p_.x, s_.inputs, p_.kernel, sums, width, columns_, false, p_.bias);
    if (s_.cell == RecurrentCell::Gru) {  // z, r, x's part of h, the state's part of h
      const int64_t last = 2 * s_.units;
      const T* bias = p_.recurrent_bias;
      multiply(before, s_.units, p_.recurrent_kernel, sums, width, last, true, bias);
      multiply(before, s_.units, p_.recurrent_kernel + last, sums + last + s_.units, width, s_.units, false,
               bias == nullptr ? nullptr : bias + last);
    } else {
      multiply(before, s_.units, p_.recurrent_kernel, sums, width, columns_, true, nullptr);
    }
    parallel(0, s_.batch, grain_for(16 * columns_), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) close_row(row, sums + row * width, before + row * s_.units);
    });
  }

 private:
  // c (batch, columns) [+]= a (batch, k) b (k, columns) + bias; rows of b are those of a kernel.
  void multiply(const T* a, int64_t k, const T* b, T* c, int64_t ldc, int64_t columns, bool accumulate,
                const T* bias) const {
    GemmArguments<T> product;
    product.m = s_.batch;
    product.n = columns;
    product.k = k;
    product.a = a;
    product.lda = k;
    product.b = b;
    product.ldb = columns_;
    product.c = c;
    product.ldc = ldc;
    product.accumulate = accumulate;
    product.bias = bias;
    gemm_kernels.template get<T>().gemm(product);
  }

  void close_row(int64_t row, const T* sums, const T* before) const {
    const int64_t units = s_.units;
    T* output = p_.outputs + row * units;
    if (p_.c != nullptr && p_.initial_c != nullptr) copy(p_.initial_c + row * units, p_.c + row * units, units);
    if (p_.c != nullptr && p_.initial_c == nullptr) clear(p_.c + row * units, units);
    if (is_masked(s_, p_.mask, row, 0)) {
      clear(output, units);
      copy(before, p_.h + row * units, units);
      return;
    }
    if (s_.cell == RecurrentCell::SimpleRnn) {
      advance_simple(s_.activation, sums, output, units);
    } else {
      const Advance<T> at = {p_, row, row, before, output};
      for (int64_t unit = 0; unit < units; unit += kWidth<T>) {
        const T* z = sums + unit;
        const int64_t lanes = min_of(kWidth<T>, units - unit);
        if (s_.cell == RecurrentCell::Lstm) {
          advance_lstm(at, z, units, unit, lanes);
        } else {
          advance_gru(at, z, z + units, z + 2 * units, z + 3 * units, unit, lanes);
        }
      }
    }
    copy(output, p_.h + row * units, units);
  }

  const RecurrentForward<T>& p_;
  const RecurrentSizes& s_;
  const int64_t columns_;  // of the kernels
};

}  // namespace

void run_single(const RecurrentForward<float>& p) { Single<float>(p).run(); }
void run_single(const RecurrentForward<double>& p) { Single<double>(p).run(); }

}  // namespace RANVIER_ISA
}  // namespace ranvier
