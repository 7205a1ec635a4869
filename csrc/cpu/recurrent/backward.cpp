// Backward through time. A step's gradients of the sums follow from those of the states after it; times U^T, packed
// once, they give those of the states before it. What the weights and x get are then products over all steps.
#include "cpu/recurrent/cells.h"
#include "ops/gemm.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<GemmKernels> gemm_kernels;

namespace {

template <typename T>
class Backward {
 public:
  explicit Backward(const RecurrentBackward<T>& p)
      : p_(p),
        s_(p.sizes),
        kernel_columns_(kernel_gates(s_.cell) * s_.units),
        sum_columns_(sum_gradients(s_.cell) * s_.units),
        padded_units_(ceil_div(s_.units, kWidth<T>) * kWidth<T>) {
    const int64_t vectors = padded_units_ / kWidth<T>;
    const int64_t resets = s_.cell == RecurrentCell::GruResetBefore ? s_.units : 0;
    transposed_ = {nullptr, kernel_columns_ - resets, vectors, kPanelVectors, kPanelVectors * kWidth<T>, 0};
    reset_ = {nullptr, resets, vectors, kPanelVectors, kPanelVectors * kWidth<T>, 0};
  }

  void run() {
    pack();
    const int64_t bytes = kernel_columns_ * s_.units * static_cast<int64_t>(sizeof(T));
    over_batch(s_, p_.mask, bytes, [&](const Rows& rows) { run_rows(rows); });
    multiply_all();
  }

 private:
  struct Work {
    Rows rows;
    int64_t* starts;    // by row: its first step that is not masked
    int64_t* active;    // the rows of a step that are not masked
    const T** factors;  // beside `active`: gradients of the sums
    T* next;            // beside `active`: gradients of the states before the step
    T* reset;           // beside `active`: gradients of r h (GruResetBefore)
    T* carried;         // by row, under a mask: gradients of masked steps' outputs, on their way back
  };

  void pack() {
    using B = Carver;
    Carver carver(
        scratch(kScratchA, B::bytes<T>(transposed_.size()) + B::bytes<T>(reset_.size()) + B::bytes<T>(s_.units)));
    transposed_.data = carver.take<T>(transposed_.size());
    reset_.data = carver.take<T>(reset_.size());
    T* zeros = carver.take<T>(s_.units);
    clear(zeros, s_.units);
    zeros_ = zeros;
    pack_transposed_units(transposed_, p_.recurrent_kernel, kernel_columns_, s_.units);
    pack_transposed_units(reset_, p_.recurrent_kernel + 2 * s_.units, kernel_columns_, s_.units);
  }

  void run_rows(const Rows& rows) const {
    using B = Carver;
    const int64_t values = rows.count * padded_units_;
    Carver carver(scratch(
        kScratchOuter, 3 * B::bytes<T>(values) + 2 * B::bytes<int64_t>(rows.count) + B::bytes<const T*>(rows.count)));
    Work work;
    work.rows = rows;
    work.starts = carver.take<int64_t>(rows.count);
    work.active = carver.take<int64_t>(rows.count);
    work.factors = carver.take<const T*>(rows.count);
    work.next = carver.take<T>(values);
    work.reset = carver.take<T>(values);
    work.carried = p_.mask == nullptr ? nullptr : carver.take<T>(values);
    if (work.carried != nullptr) clear(work.carried, values);
    for (int64_t i = 0; i < rows.count; ++i) {
      int64_t step = 0;
      while (step < s_.steps && is_masked(s_, p_.mask, rows[i], step)) ++step;
      work.starts[i] = step;
    }
    for (int64_t step = s_.steps - 1; step >= 0; --step) retreat(work, step);
    if (p_.states != nullptr) keep_states(work);
  }

  // The state that a row's step started from: the output before, but the initial state where there was none.
  const T* state_before(const Work& work, int64_t i, int64_t step) const {
    const int64_t row = work.rows[i];
    if (step > work.starts[i]) return p_.outputs + (row * s_.steps + step - 1) * s_.units;
    return p_.initial_h == nullptr ? zeros_ : p_.initial_h + row * s_.units;
  }

  Retreat<T> at(const Work& work, int64_t i, int64_t step, int64_t slot) const {
    const int64_t row = work.rows[i], here = row * s_.steps + position_of(s_, step), out = row * s_.steps + step;
    const int64_t units = s_.units;
    Retreat<T> at;
    at.gates = p_.gates == nullptr ? nullptr : p_.gates + here * 4 * units;
    at.c_before = p_.c_before == nullptr ? nullptr : p_.c_before + here * units;
    at.before = state_before(work, i, step);
    at.y = p_.outputs + out * units;
    at.dy = p_.output_gradients + out * units;
    at.carried = work.carried == nullptr ? nullptr : work.carried + i * padded_units_;
    at.dh = p_.dh + row * units;
    at.dc = p_.dc == nullptr ? nullptr : p_.dc + row * units;
    at.sums = p_.sums + here * sum_columns_;
    at.next = work.next + slot * padded_units_;
    at.units = units;
    at.ahead = s_.go_backwards ? 1 : -1;
    return at;
  }

  void retreat(const Work& work, int64_t step) const {
    int64_t rows = 0;
    for (int64_t i = 0; i < work.rows.count; ++i) {
      const Retreat<T> here = at(work, i, step, rows);
      if (is_masked(s_, p_.mask, work.rows[i], step)) {
        clear(here.sums, sum_columns_);
        for (int64_t j = 0; j < s_.units; ++j) here.carried[j] += here.dy[j];
        continue;
      }
      retreat_row(here);
      work.active[rows] = i;
      work.factors[rows++] = here.sums;
    }
    if (s_.cell == RecurrentCell::GruResetBefore) retreat_resets(work, step, rows);
    over_panels(transposed_, rows, transposed_.k, [&](int64_t i) {
      // gru's second gradient of gate h stands after the first
      const int64_t k = s_.cell == RecurrentCell::Gru ? 2 * s_.units : transposed_.k;
      const int64_t vectors = transposed_.vectors_of(i);
      const Factor<T> factors[] = {
          {work.factors, 0, k, transposed_.panel(i)},
          {work.factors, 3 * s_.units, transposed_.k - k, transposed_.panel(i) + k * vectors * kWidth<T>}};
      multiply_panel(factors, k < transposed_.k ? 2 : 1, rows, vectors, work.next + i * transposed_.step,
                     padded_units_);
    });
    for (int64_t r = 0; r < rows; ++r) {
      copy(work.next + r * padded_units_, p_.dh + work.rows[work.active[r]] * s_.units, s_.units);
    }
  }

  void retreat_row(const Retreat<T>& here) const {
    if (s_.cell == RecurrentCell::SimpleRnn) return retreat_simple(s_.activation, here);
    for (int64_t unit = 0; unit < s_.units; unit += kWidth<T>) {
      const int64_t lanes = min_of(kWidth<T>, s_.units - unit);
      fetch_next(here, unit);
      switch (s_.cell) {
        case RecurrentCell::Lstm: retreat_lstm(here, unit, lanes); break;
        case RecurrentCell::Gru: retreat_gru<T, true>(here, unit, lanes); break;
        default: retreat_gru<T, false>(here, unit, lanes); break;
      }
    }
  }

  void retreat_resets(const Work& work, int64_t step, int64_t rows) const {
    clear(work.reset, rows * padded_units_);
    over_panels(reset_, rows, s_.units, [&](int64_t i) {
      const Factor<T> factor = {work.factors, 2 * s_.units, s_.units, reset_.panel(i)};
      multiply_panel(&factor, 1, rows, reset_.vectors_of(i), work.reset + i * reset_.step, padded_units_);
    });
    for (int64_t r = 0; r < rows; ++r) {
      const Retreat<T> here = at(work, work.active[r], step, r);
      for (int64_t unit = 0; unit < s_.units; unit += kWidth<T>) {
        retreat_reset(here, load(work.reset + r * padded_units_ + unit), unit, min_of(kWidth<T>, s_.units - unit));
      }
    }
  }

  void keep_states(const Work& work) const {
    for (int64_t i = 0; i < work.rows.count; ++i) {
      for (int64_t step = 0; step < s_.steps; ++step) {
        const int64_t here = work.rows[i] * s_.steps + position_of(s_, step);
        copy(state_before(work, i, step), p_.states + here * s_.units, s_.units);
      }
    }
  }

  // --- products over all steps --------------------------------------------------------------------------

  // columns from .. from + count of the sums' gradients, on the right of a^T.
  void weights(const T* a, int64_t lda, int64_t rows, int64_t from, int64_t count, T* out) const {
    GemmArguments<T> product;
    product.transpose_a = true;
    product.m = rows;
    product.n = count;
    product.k = s_.batch * s_.steps;
    product.a = a;
    product.lda = lda;
    product.b = p_.sums + from;
    product.ldb = sum_columns_;
    product.c = out;
    product.ldc = kernel_columns_;
    gemm_kernels.template get<T>().gemm(product);
  }

  void multiply_all() const {
    const int64_t units = s_.units, last = 2 * units;
    if (p_.kernel_gradient != nullptr) weights(p_.x, s_.inputs, s_.inputs, 0, kernel_columns_, p_.kernel_gradient);
    if (T* out = p_.recurrent_kernel_gradient; out != nullptr) {
      switch (s_.cell) {
        case RecurrentCell::Gru:
          weights(p_.states, units, units, 0, last, out);
          weights(p_.states, units, units, last + units, units, out + last);
          break;
        case RecurrentCell::GruResetBefore:
          weights(p_.states, units, units, 0, last, out);
          weights(p_.gates + 3 * units, 4 * units, units, last, units, out + last);
          break;
        default: weights(p_.states, units, units, 0, kernel_columns_, out); break;
      }
    }
    if (p_.dx != nullptr) {
      GemmArguments<T> product;
      product.transpose_b = true;
      product.m = s_.batch * s_.steps;
      product.n = s_.inputs;
      product.k = kernel_columns_;
      product.a = p_.sums;
      product.lda = sum_columns_;
      product.b = p_.kernel;
      product.ldb = kernel_columns_;
      product.c = p_.dx;
      product.ldc = s_.inputs;
      gemm_kernels.template get<T>().gemm(product);
    }
    if (p_.bias_gradient != nullptr) add_biases();
  }

  void add_biases() const {
    const auto& gemm = gemm_kernels.template get<T>();
    if (s_.cell != RecurrentCell::Gru) {
      return gemm.column_sums(p_.sums, s_.batch * s_.steps, sum_columns_, p_.bias_gradient);
    }
    // Two rows: of the bias beside x, and of that beside the recurrent kernel, which differs in gate h.
    T* all = reinterpret_cast<T*>(scratch(kScratchOuter, sum_columns_ * static_cast<int64_t>(sizeof(T))));
    gemm.column_sums(p_.sums, s_.batch * s_.steps, sum_columns_, all);
    copy(all, p_.bias_gradient, 3 * s_.units);
    copy(all, p_.bias_gradient + 3 * s_.units, 2 * s_.units);
    copy(all + 3 * s_.units, p_.bias_gradient + 5 * s_.units, s_.units);
  }

  const RecurrentBackward<T>& p_;
  const RecurrentSizes& s_;
  const int64_t kernel_columns_;
  const int64_t sum_columns_;
  const int64_t padded_units_;
  Panels<T> transposed_ = {}, reset_ = {};
  const T* zeros_ = nullptr;
};

}  // namespace

void run_backward(const RecurrentBackward<float>& p) { Backward<float>(p).run(); }
void run_backward(const RecurrentBackward<double>& p) { Backward<double>(p).run(); }

}  // namespace RANVIER_ISA
}  // namespace ranvier
