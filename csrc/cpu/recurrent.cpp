// Where the batch is large enough, each thread takes some rows through all steps: no barriers, and its part of
// the states stays in its cache. Otherwise steps run one by one and each product uses all threads.
#include "ops/recurrent.h"

#include "cpu/simd.h"
#include "cpu/simd_math.h"
#include "ops/gemm.h"

namespace ranvier {
namespace RANVIER_ISA {

extern const PerType<GemmKernels> gemm_kernels;

namespace {

// c (rows, n) [+]= a (rows, k) b (k, n), all row-major.
template <typename T>
void multiply(const T* a, int64_t lda, const T* b, T* c, int64_t ldc, int64_t rows, int64_t n, int64_t k,
              bool accumulate, const T* bias = nullptr) {
  GemmArguments<T> product;
  product.m = rows;
  product.n = n;
  product.k = k;
  product.a = a;
  product.lda = lda;
  product.b = b;
  product.ldb = n;
  product.c = c;
  product.ldc = ldc;
  product.accumulate = accumulate;
  product.bias = bias;
  gemm_kernels.template get<T>().gemm(product);
}

// Calls body(begin, end) for rows of the batch: in one piece per thread if that leaves each enough rows to fill
// a tile, else all rows on the caller.
template <typename Body>
RANVIER_INLINE void over_batch(const LstmSizes& s, const Body& body) {
  constexpr int64_t kRowsWorthAThread = 8;
  const int64_t pieces = max_of(1, min_of(num_threads(), s.batch / kRowsWorthAThread));
  if (pieces == 1) return body(int64_t{0}, s.batch);
  parallel(0, pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(s.batch * i / pieces, s.batch * (i + 1) / pieces);
  });
}

template <typename T>
void copy(const T* from, T* to, int64_t n) {
  memcpy(to, from, sizeof(T) * static_cast<uint64_t>(n));
}

// Whether both kernels stay in L2 from step to step, and enough rows share each reading of them. Then a step
// multiplies by both, and its sums never leave the cache; else the products with x are done for all steps at once.
template <typename T>
bool multiplies_x_per_step(const LstmSizes& s) {
  return s.batch >= 16 && (s.inputs + s.units) * 4 * s.units * static_cast<int64_t>(sizeof(T)) <= 768 * 1024;
}

// The gates of one row from their sums z, to which those already in `gates` are added if `kAdd`, and the state
// they lead to.
template <typename T, bool kAdd>
void advance_row(const T* z, T* gates, T* h, T* c, int64_t units) {
  for (int64_t j = 0; j < units; j += kWidth<T>) {
    const int64_t left = min_of(kWidth<T>, units - j);
    const auto sum = [&](int64_t gate) {
      const Vec<T> of_h = load_partial(z + gate * units + j, left);
      return kAdd ? load_partial(gates + gate * units + j, left) + of_h : of_h;
    };
    const Vec<T> i = sigmoid(sum(0));
    const Vec<T> f = sigmoid(sum(1));
    const Vec<T> g = tanh(sum(2));
    const Vec<T> o = sigmoid(sum(3));
    const Vec<T> next = fma(f, load_partial(c + j, left), i * g);
    store_partial(gates + j, i, left);
    store_partial(gates + units + j, f, left);
    store_partial(gates + 2 * units + j, g, left);
    store_partial(gates + 3 * units + j, o, left);
    store_partial(c + j, next, left);
    store_partial(h + j, o * tanh(next), left);
  }
}

// One step: all of lstm_cell.
template <typename T>
void forward_step(const LstmForward<T>& p, int64_t step, int64_t begin, int64_t end, T* sums) {
  const LstmSizes& s = p.sizes;
  const int64_t at = s.go_backwards ? s.steps - 1 - step : step;
  const bool with_x = multiplies_x_per_step<T>(s);
  if (with_x) {
    multiply(p.x + (begin * s.steps + at) * s.inputs, s.steps * s.inputs, p.kernel, sums, 4 * s.units, end - begin,
             4 * s.units, s.inputs, false, p.bias);
  }
  multiply(p.h + begin * s.units, s.units, p.recurrent_kernel, sums, 4 * s.units, end - begin, 4 * s.units, s.units,
           with_x);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t here = row * s.steps + at;
    T* h = p.h + row * s.units;
    T* c = p.c + row * s.units;
    copy(h, p.h_before + here * s.units, s.units);
    copy(c, p.c_before + here * s.units, s.units);
    T* output = p.outputs + (row * s.steps + step) * s.units;
    if (p.mask == nullptr || p.mask[here]) {
      const T* z = sums + (row - begin) * 4 * s.units;
      T* gates = p.gates + here * 4 * s.units;
      if (with_x) {
        advance_row<T, false>(z, gates, h, c, s.units);
      } else {
        advance_row<T, true>(z, gates, h, c, s.units);
      }
      copy(h, output, s.units);
    } else if (step > 0) {
      copy(output - s.units, output, s.units);
    } else {
      for (int64_t j = 0; j < s.units; ++j) output[j] = T(0);
    }
  }
}

template <typename T>
void lstm_forward(const LstmForward<T>& p) {
  const LstmSizes& s = p.sizes;
  if (s.batch == 0) return;
  if (!multiplies_x_per_step<T>(s)) {
    multiply(p.x, s.inputs, p.kernel, p.gates, 4 * s.units, s.batch * s.steps, 4 * s.units, s.inputs, false, p.bias);
  }
  over_batch(s, [&](int64_t begin, int64_t end) {
    const uint64_t values = static_cast<uint64_t>((end - begin) * 4 * s.units);
    T* sums = static_cast<T*>(thread_scratch(kScratchOuter, sizeof(T) * values));
    for (int64_t step = 0; step < s.steps; ++step) forward_step(p, step, begin, end, sums);
  });
}

// One row's gradients of the sums (dz) and of c before the step, from those of h and c after it. dh becomes
// zero: the recurrent product adds what h before the step gets.
template <typename T>
void retreat_row(const T* gates, const T* c_before, const T* dy, T* carried, T* dh, T* dc, T* dz, int64_t units) {
  const Vec<T> one = broadcast<T>(1);
  for (int64_t j = 0; j < units; j += kWidth<T>) {
    const int64_t left = min_of(kWidth<T>, units - j);
    const Vec<T> i = load_partial(gates + j, left);
    const Vec<T> f = load_partial(gates + units + j, left);
    const Vec<T> g = load_partial(gates + 2 * units + j, left);
    const Vec<T> o = load_partial(gates + 3 * units + j, left);
    const Vec<T> before = load_partial(c_before + j, left);
    const Vec<T> squashed = tanh(fma(f, before, i * g));
    const Vec<T> to_h = load_partial(dh + j, left) + load_partial(dy + j, left) + load_partial(carried + j, left);
    const Vec<T> to_c = fma(to_h * o, one - squashed * squashed, load_partial(dc + j, left));
    store_partial(dz + j, to_c * g * i * (one - i), left);
    store_partial(dz + units + j, to_c * before * f * (one - f), left);
    store_partial(dz + 2 * units + j, to_c * i * (one - g * g), left);
    store_partial(dz + 3 * units + j, to_h * squashed * o * (one - o), left);
    store_partial(dc + j, to_c * f, left);
    store_partial(dh + j, Vec<T>{}, left);
    store_partial(carried + j, Vec<T>{}, left);
  }
}

template <typename T>
void backward_step(const LstmBackward<T>& p, int64_t step, int64_t begin, int64_t end) {
  const LstmSizes& s = p.sizes;
  const int64_t at = s.go_backwards ? s.steps - 1 - step : step;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t here = row * s.steps + at;
    const T* dy = p.output_gradients + (row * s.steps + step) * s.units;
    T* carried = p.carried + row * s.units;
    T* dz = p.dz + here * 4 * s.units;
    if (p.mask == nullptr || p.mask[here]) {
      retreat_row(p.gates + here * 4 * s.units, p.c_before + here * s.units, dy, carried, p.dh + row * s.units,
                  p.dc + row * s.units, dz, s.units);
    } else {  // the output was the one before it; h and c passed unchanged
      for (int64_t j = 0; j < s.units; ++j) carried[j] += dy[j];
      for (int64_t j = 0; j < 4 * s.units; ++j) dz[j] = T(0);
    }
  }
  multiply(p.dz + (begin * s.steps + at) * 4 * s.units, s.steps * 4 * s.units, p.transposed, p.dh + begin * s.units,
           s.units, end - begin, s.units, 4 * s.units, true);
}

template <typename T>
void transpose(const T* from, T* to, int64_t rows, int64_t columns) {
  constexpr int64_t kBlock = 16;  // a block of either matrix is 16 cache lines or half of that
  parallel(0, ceil_div(columns, kBlock), grain_for(kBlock * rows), [&](int64_t begin, int64_t end) {
    for (int64_t block = begin * kBlock; block < end * kBlock; block += kBlock) {
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = block; j < min_of(columns, block + kBlock); ++j) to[j * rows + i] = from[i * columns + j];
      }
    }
  });
}

template <typename T>
void lstm_backward(const LstmBackward<T>& p) {
  const LstmSizes& s = p.sizes;
  if (s.batch == 0) return;
  transpose(p.recurrent_kernel, p.transposed, s.units, 4 * s.units);
  over_batch(s, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * s.units; i < end * s.units; ++i) p.carried[i] = T(0);
    for (int64_t step = s.steps - 1; step >= 0; --step) backward_step(p, step, begin, end);
  });
}

}  // namespace

extern const PerType<RecurrentKernels> recurrent_kernels;
const PerType<RecurrentKernels> recurrent_kernels = {
    {lstm_forward<float>, lstm_backward<float>},
    {lstm_forward<double>, lstm_backward<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
