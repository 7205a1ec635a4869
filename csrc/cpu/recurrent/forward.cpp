// Forward through time. Weights are packed once; a step's sums are x W + h U + b in one chain of multiply-adds per
// element, panel by panel, and the gates of a panel's units follow while its sums are in L1. Where the batch is
// small, x W comes first for many steps at once, so that W is read once and not at each step.
#include "cpu/recurrent/cells.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

template <typename T>
class Forward {
 public:
  explicit Forward(const RecurrentForward<T>& p)
      : p_(p), s_(p.sizes), slots_(s_.cell == RecurrentCell::GruResetBefore ? 3 : kPanelVectors) {
    const int64_t vectors = ceil_div(s_.units, kWidth<T>);
    const int64_t w = kWidth<T>;
    switch (s_.cell) {
      case RecurrentCell::SimpleRnn:
        of_x_ = {nullptr, s_.inputs, vectors, kPanelVectors, kPanelVectors * w, 0};
        of_h_ = {nullptr, s_.units, vectors, kPanelVectors, kPanelVectors * w, 0};
        width_ = vectors * w;
        break;
      case RecurrentCell::Lstm:
        of_x_ = {nullptr, s_.inputs, 4 * vectors, 4, 4 * w, 0};
        of_h_ = {nullptr, s_.units, 4 * vectors, 4, 4 * w, 0};
        break;
      case RecurrentCell::Gru:  // sums: x's part of h, z, r, the state's part of h
        of_x_ = {nullptr, s_.inputs, 3 * vectors, 3, 4 * w, 0};
        of_h_ = {nullptr, s_.units, 3 * vectors, 3, 4 * w, w};
        break;
      case RecurrentCell::GruResetBefore:  // sums: x's part of h, z, r; the state's part of h in an array of its own
        of_x_ = {nullptr, s_.inputs, 3 * vectors, 3, 3 * w, 0};
        of_h_ = {nullptr, s_.units, 2 * vectors, 2, 3 * w, w};
        of_reset_ = {nullptr, s_.units, vectors, kPanelVectors, kPanelVectors * w, 0};
        break;
    }
    if (s_.cell != RecurrentCell::SimpleRnn) width_ = slots_ * vectors * w;
    padded_units_ = vectors * w;
    ld_ = width_ + w;
  }

  void run() {
    pack();
    const int64_t bytes = (of_h_.size() + of_reset_.size() + of_x_.size()) * static_cast<int64_t>(sizeof(T));
    over_batch(s_, p_.mask, bytes, [&](const Rows& rows) { run_rows(rows); });
  }

 private:
  // What a thread needs for its rows. Sums and the lists beside them hold the active rows of several steps.
  struct Work {
    Rows rows;
    const T** states;   // by row: its latest state
    int64_t* active;    // rows of each step that are not masked, step after step
    const T** inputs;   // beside `active`
    const T** befores;  // of one step's active rows: the states before it
    T* sums;
    T* reset;          // of one step: r h (GruResetBefore)
    T* reset_sums;     // of one step: (r h) U_h
    const T** resets;  // rows of `reset`
  };

  void pack() {
    using B = Carver;
    const int64_t bytes = B::bytes<T>(of_x_.size()) + B::bytes<T>(of_h_.size()) + B::bytes<T>(of_reset_.size()) +
                          B::bytes<T>(width_) + B::bytes<T>(s_.units);
    Carver carver(scratch(kScratchA, bytes));
    of_x_.data = carver.take<T>(of_x_.size());
    of_h_.data = carver.take<T>(of_h_.size());
    of_reset_.data = carver.take<T>(of_reset_.size());
    T* bias = carver.take<T>(width_);
    T* zeros = carver.take<T>(s_.units);
    clear(zeros, s_.units);
    zeros_ = zeros;
    const int64_t ld = kernel_gates(s_.cell) * s_.units;
    if (s_.cell == RecurrentCell::SimpleRnn) {
      pack_units(of_x_, p_.kernel, ld, s_.units);
      pack_units(of_h_, p_.recurrent_kernel, ld, s_.units);
    } else {
      static constexpr int kInOrder[] = {0, 1, 2, 3}, kLastFirst[] = {2, 0, 1};
      pack_gates(of_x_, p_.kernel, ld, s_.units, s_.cell == RecurrentCell::Lstm ? kInOrder : kLastFirst);
      pack_gates(of_h_, p_.recurrent_kernel, ld, s_.units, kInOrder);
      if (s_.cell == RecurrentCell::GruResetBefore) {
        pack_units(of_reset_, p_.recurrent_kernel + 2 * s_.units, ld, s_.units);
      }
    }
    pack_bias(bias);
    bias_ = bias;
  }

  // A row of sums before anything was added: the bias, in the order of the panels.
  void pack_bias(T* out) const {
    clear(out, width_);
    const auto add = [&](const T* bias, int64_t gate, int64_t slot) {
      if (bias == nullptr) return;
      for (int64_t j = 0; j < s_.units; ++j) {
        const int64_t block = j / kWidth<T>;
        const int64_t at = s_.cell == RecurrentCell::SimpleRnn ? j : (block * (slots_ - 1) + slot) * kWidth<T> + j;
        out[at] += bias[gate * s_.units + j];
      }
    };
    const bool gru = s_.cell == RecurrentCell::Gru || s_.cell == RecurrentCell::GruResetBefore;
    for (int64_t gate = 0; gate < kernel_gates(s_.cell); ++gate) {
      add(p_.bias, gate, gru ? (gate + 1) % 3 : gate);
      add(p_.recurrent_bias, gate, gate + 1);
    }
  }

  void run_rows(const Rows& rows) {
    const bool first = multiplies_x_first(rows.count);
    const int64_t at_once = first ? steps_at_once(rows.count) : 1;
    const int64_t most = rows.count * at_once;
    const bool resets = s_.cell == RecurrentCell::GruResetBefore;
    using B = Carver;
    const int64_t bytes = 3 * B::bytes<const T*>(rows.count) + B::bytes<int64_t>(most) + B::bytes<const T*>(most) +
                          B::bytes<T>(most * ld_) + 2 * B::bytes<T>(rows.count * padded_units_) +
                          B::bytes<int64_t>(at_once + 1);
    Carver carver(scratch(kScratchOuter, bytes));
    Work work;
    work.rows = rows;
    work.states = carver.take<const T*>(rows.count);
    work.befores = carver.take<const T*>(rows.count);
    work.resets = carver.take<const T*>(rows.count);
    work.active = carver.take<int64_t>(most);
    work.inputs = carver.take<const T*>(most);
    work.sums = carver.take<T>(most * ld_);
    work.reset = carver.take<T>(resets ? rows.count * padded_units_ : 0);
    work.reset_sums = carver.take<T>(resets ? rows.count * padded_units_ : 0);
    int64_t* starts = carver.take<int64_t>(at_once + 1);
    begin(work);
    for (int64_t step = 0; step < s_.steps; step += at_once) {
      const int64_t end = min_of(s_.steps, step + at_once);
      list_active(work, step, end, starts);
      if (first) multiply_x(work, starts[end - step]);
      for (int64_t i = step; i < end; ++i) {
        advance(work, i, starts[i - step], starts[i - step + 1] - starts[i - step], !first);
        finish_step(work, i, starts[i - step], starts[i - step + 1]);
      }
    }
    for (int64_t i = 0; i < rows.count; ++i) copy(work.states[i], p_.h + rows[i] * s_.units, s_.units);
  }

  // With few rows a step is bound by reading weights: then W is better read once for many steps.
  bool multiplies_x_first(int64_t rows) const {
    constexpr int64_t kInCache = 512 * 1024;
    const int64_t bytes = (of_x_.size() + of_h_.size()) * static_cast<int64_t>(sizeof(T));
    return rows < (bytes > kInCache ? 8 : 4) || s_.cell == RecurrentCell::GruResetBefore;
  }

  int64_t steps_at_once(int64_t rows) const {
    constexpr int64_t kSumBytes = 128 * 1024;
    return max_of(1, min_of(s_.steps, kSumBytes / (rows * width_ * static_cast<int64_t>(sizeof(T)))));
  }

  void begin(Work& work) const {
    for (int64_t i = 0; i < work.rows.count; ++i) {
      const int64_t row = work.rows[i];
      work.states[i] = p_.initial_h == nullptr ? zeros_ : p_.initial_h + row * s_.units;
      if (s_.cell != RecurrentCell::Lstm) continue;
      if (p_.initial_c != nullptr) {
        copy(p_.initial_c + row * s_.units, p_.c + row * s_.units, s_.units);
      } else {
        clear(p_.c + row * s_.units, s_.units);
      }
    }
  }

  // The active rows of steps begin .. end; those of step i from starts[i - begin] on.
  void list_active(Work& work, int64_t begin, int64_t end, int64_t* starts) const {
    int64_t filled = 0;
    for (int64_t step = begin; step < end; ++step) {
      starts[step - begin] = filled;
      for (int64_t i = 0; i < work.rows.count; ++i) {
        const int64_t row = work.rows[i];
        if (is_masked(s_, p_.mask, row, step)) continue;
        work.active[filled] = i;
        work.inputs[filled++] = p_.x + (row * s_.steps + position_of(s_, step)) * s_.inputs;
      }
    }
    starts[end - begin] = filled;
  }

  void begin_sums(T* sums, int64_t begin, int64_t end, int64_t panel) const {
    const int64_t from = panel * of_x_.step, count = min_of(of_x_.step, width_ - from);
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t j = 0; j < count; j += kWidth<T>) store(sums + i * ld_ + from + j, load(bias_ + from + j));
    }
  }

  void multiply_x(const Work& work, int64_t rows) const {
    over_panels(of_x_, rows, s_.inputs, [&](int64_t i) {
      begin_sums(work.sums, 0, rows, i);
      const Factor<T> factor = {work.inputs, 0, s_.inputs, of_x_.panel(i)};
      multiply_panel(&factor, 1, rows, of_x_.vectors_of(i), work.sums + i * of_x_.step + of_x_.first, ld_);
    });
  }

  // One step of the rows `active[from ..]`: products, then gates, tile by tile, while its sums are in L1: the next tile
  // has the whole panel pass through it.
  void advance(const Work& work, int64_t step, int64_t from, int64_t rows, bool with_x) const {
    const int64_t* active = work.active + from;
    T* sums = with_x ? work.sums : work.sums + from * ld_;
    for (int64_t i = 0; i < rows; ++i) work.befores[i] = work.states[active[i]];
    over_panels(of_h_, rows, s_.units + (with_x ? s_.inputs : 0), [&](int64_t i) {
      T* c = sums + i * of_h_.step;
      const int64_t vectors = of_h_.vectors_of(i);
      const Factor<T> factors[] = {{work.inputs + from, 0, s_.inputs, of_x_.panel(i)},
                                   {work.befores, 0, s_.units, of_h_.panel(i)}};
      over_tiles(rows, [&](int64_t begin, int64_t end) {
        if (with_x) begin_sums(sums, begin, end, i);
        for (int64_t r = begin; r < end; ++r) expect(at(work, active[r], step, nullptr), i * kWidth<T>);
        if (with_x && of_x_.first == of_h_.first) {
          multiply_rows(factors, 2, begin, end, vectors, c, ld_);
        } else {
          if (with_x) multiply_rows(factors, 1, begin, end, of_x_.vectors_of(i), c + of_x_.first, ld_);
          multiply_rows(factors + 1, 1, begin, end, vectors, c + of_h_.first, ld_);
        }
        close_gates(work, step, active, begin, end, sums, i);
      });
    });
    if (s_.cell == RecurrentCell::GruResetBefore) advance_reset(work, step, active, rows, sums);
  }

  Advance<T> at(const Work& work, int64_t i, int64_t step, const T* before) const {
    const int64_t row = work.rows[i];
    return {p_, row, row * s_.steps + position_of(s_, step), before, p_.outputs + (row * s_.steps + step) * s_.units};
  }

  // The gates of panel i, for rows begin .. end of the sums. Whole vectors need no masks.
  void close_gates(const Work& work, int64_t step, const int64_t* active, int64_t begin, int64_t end, T* sums,
                   int64_t i) const {
    const int64_t unit = i * kWidth<T>, lanes = min_of(kWidth<T>, s_.units - unit);
    const auto each = [&](const auto& close) __attribute__((always_inline)) {
      for (int64_t r = begin; r < end; ++r) {
        const Advance<T> here = at(work, active[r], step, work.befores[r]);
        T* z = sums + r * ld_ + i * of_h_.step;
        if (lanes == kWidth<T>) {
          close(here, z, r, kWidth<T>);
        } else {
          close(here, z, r, lanes);
        }
      }
    };
    switch (s_.cell) {
      case RecurrentCell::Lstm:
        return each([&](const Advance<T>& here, const T* z, int64_t, int64_t n)
                        __attribute__((always_inline)) { advance_lstm(here, z, kWidth<T>, unit, n); });
      case RecurrentCell::Gru:
        return each([&](const Advance<T>& here, const T* z, int64_t, int64_t n) __attribute__((always_inline)) {
          advance_gru(here, z + kWidth<T>, z + 2 * kWidth<T>, z, z + 3 * kWidth<T>, unit, n);
        });
      case RecurrentCell::GruResetBefore:
        return each([&](const Advance<T>& here, T* z, int64_t r, int64_t n) __attribute__((always_inline)) {
          reset_gru(here, z, work.reset + r * padded_units_, unit, n);
        });
      case RecurrentCell::SimpleRnn: break;
    }
    const int64_t from = i * of_h_.step;
    each([&](const Advance<T>& here, const T* z, int64_t, int64_t) __attribute__((always_inline)) {
      advance_simple(s_.activation, z, here.after + from, min_of(of_h_.step, s_.units - from));
    });
  }

  void advance_reset(const Work& work, int64_t step, const int64_t* active, int64_t rows, const T* sums) const {
    for (int64_t r = 0; r < rows; ++r) work.resets[r] = work.reset + r * padded_units_;
    clear(work.reset_sums, rows * padded_units_);
    over_panels(of_reset_, rows, s_.units, [&](int64_t i) {
      const int64_t from = i * of_reset_.step;
      const Factor<T> factor = {work.resets, 0, s_.units, of_reset_.panel(i)};
      multiply_panel(&factor, 1, rows, of_reset_.vectors_of(i), work.reset_sums + from, padded_units_);
      for (int64_t r = 0; r < rows; ++r) {
        const Advance<T> here = at(work, active[r], step, work.befores[r]);
        for (int64_t unit = from; unit < min_of(s_.units, from + of_reset_.step); unit += kWidth<T>) {
          advance_reset_gru(here, sums + r * ld_ + unit / kWidth<T> * of_h_.step, work.resets[r],
                            load(work.reset_sums + r * padded_units_ + unit), unit, min_of(kWidth<T>, s_.units - unit));
        }
      }
    });
  }

  // Active rows have a new state: their output. The others repeat the output before.
  void finish_step(Work& work, int64_t step, int64_t from, int64_t to) const {
    for (int64_t i = from; i < to; ++i) {
      work.states[work.active[i]] = p_.outputs + (work.rows[work.active[i]] * s_.steps + step) * s_.units;
    }
    if (to - from == work.rows.count) return;
    int64_t next = from;
    for (int64_t i = 0; i < work.rows.count; ++i) {
      if (next < to && work.active[next] == i) {
        ++next;
        continue;
      }
      if (p_.gates != nullptr && s_.cell == RecurrentCell::GruResetBefore) {  // r h, a factor of the weights' gradient
        clear(p_.gates + ((work.rows[i] * s_.steps + position_of(s_, step)) * 4 + 3) * s_.units, s_.units);
      }
      T* output = p_.outputs + (work.rows[i] * s_.steps + step) * s_.units;
      if (step > 0) {
        copy(output - s_.units, output, s_.units);
      } else {
        clear(output, s_.units);
      }
    }
  }

  const RecurrentForward<T>& p_;
  const RecurrentSizes& s_;
  const int64_t slots_;  // vectors of sums of one vector of units
  int64_t width_ = 0;    // of a row of sums
  int64_t ld_ = 0;       // from row to row: a vector more, or rows a power of two apart would share few sets of L1
  int64_t padded_units_ = 0;
  Panels<T> of_x_ = {}, of_h_ = {}, of_reset_ = {nullptr, 0, 0, 1, 0, 0};
  const T* bias_ = nullptr;
  const T* zeros_ = nullptr;
};

}  // namespace

void run_forward(const RecurrentForward<float>& p) { Forward<float>(p).run(); }
void run_forward(const RecurrentForward<double>& p) { Forward<double>(p).run(); }

}  // namespace RANVIER_ISA
}  // namespace ranvier
