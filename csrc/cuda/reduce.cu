// sum, prod, max, min, sums of squares, argmax and argmin, logsumexp: fixed trees.
//
// A thread adds at most 128 numbers before its sum meets others, as on the CPU: rows longer than that many for each
// thread of a group are cut into chunks, and the chunks' results are reduced by the same kernel again.
#include "ops/reduce.h"

#include "cuda/half.h"
#include "cuda/rows.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

constexpr int64_t kChain = 128;

// --- what is reduced: Input of memory, Sum on the way, Output in memory ---------------------------------------------

template <typename T, typename R, typename S>
struct Adding {
  typedef T Input;
  typedef S Sum;
  typedef R Output;
  static __device__ S nothing() { return S(0); }
  static __device__ S load(T v, int64_t) { return S(wide(v)); }
  static __device__ R finish(S s) { return rounded<R>(s); }
  __device__ S operator()(S a, S b) const { return S(Wrap<S>(a) + Wrap<S>(b)); }
};
template <typename T>
struct AddingSquares : Adding<T, T, Wide<T>> {
  static __device__ Wide<T> load(T v, int64_t) { return wide(v) * wide(v); }
};
template <typename T, typename R, typename S>
struct Multiplying : Adding<T, R, S> {
  static __device__ S nothing() { return S(1); }
  __device__ S operator()(S a, S b) const { return S(Wrap<S>(a) * Wrap<S>(b)); }
};

// The first element stands for nothing at all: extremes of no elements do not exist (the op has refused them).
template <typename T, bool kLargest>
struct Extreme {
  typedef T Input;
  struct Sum {
    Wide<T> value;
    int64_t index;  // -1: none yet
  };
  typedef T Output;
  static __device__ Sum nothing() { return {Wide<T>(0), -1}; }
  static __device__ Sum load(T v, int64_t column) { return {wide(v), column}; }
  static __device__ T finish(Sum s) { return rounded<T>(s.value); }
  // The first of equal ones; a NaN beats all else.
  __device__ Sum operator()(Sum a, Sum b) const {
    if (a.index < 0) return b;
    if (b.index < 0) return a;
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan != b_nan) return a_nan ? a : b;
    if (!a_nan && a.value != b.value) return (a.value > b.value) == kLargest ? a : b;
    return a.index < b.index ? a : b;
  }
};
template <typename T, bool kLargest>
struct ArgumentOf : Extreme<T, kLargest> {
  typedef int32_t Output;
  static __device__ int32_t finish(typename Extreme<T, kLargest>::Sum s) { return int32_t(s.index); }
};

// Whether any (all) elements are not 0.
template <typename T, bool kAll>
struct Truth {
  typedef T Input;
  typedef int64_t Sum;
  typedef bool Output;
  static __device__ int64_t nothing() { return kAll; }
  static __device__ int64_t load(T v, int64_t) { return v != T(0); }
  static __device__ bool finish(int64_t s) { return s != 0; }
  __device__ int64_t operator()(int64_t a, int64_t b) const { return kAll ? a & b : a | b; }
};

// --- the kernels ----------------------------------------------------------------------------------------------------

// Lanes exchange numbers: a struct goes in its parts.
template <typename Op>
__device__ auto exchanged(typename Op::Sum value, int lanes) {
  if constexpr (sizeof(value) > 8) {
    typename Op::Sum other;
    other.value = decltype(other.value)(from_lane_xor(widened(value.value), lanes));
    other.index = from_lane_xor(value.index, lanes);
    return other;
  } else {
    return from_lane_xor(value, lanes);
  }
}

template <typename Op>
__device__ typename Op::Sum over_warp_of(typename Op::Sum value) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const typename Op::Sum other = exchanged<Op>(value, lanes);
    value = threadIdx.x & lanes ? Op{}(other, value) : Op{}(value, other);
  }
  return value;
}

template <typename Op>
struct Pass {
  const typename Op::Input* x;       // of the first pass, or null
  const typename Op::Sum* partials;  // of a later one
  typename Op::Sum* more_partials;   // written where chunks > 1
  typename Op::Output* y;            // else
  int64_t outer, columns, inner;
  int64_t chunks, chunk;  // per row, and the columns of each
};

template <typename Op>
__device__ typename Op::Sum load(const Pass<Op>& pass, int64_t o, int64_t c, int64_t i) {
  const int64_t at = (o * pass.columns + c) * pass.inner + i;
  return pass.x != nullptr ? Op::load(pass.x[at], c) : pass.partials[at];
}

template <typename Op>
__device__ void store(const Pass<Op>& pass, int64_t at, typename Op::Sum value) {
  if (pass.chunks > 1) {
    pass.more_partials[at] = value;
  } else {
    pass.y[at] = Op::finish(value);
  }
}

// A warp per chunk of a row.
template <typename Op>
__global__ void reduce_rows(const Pass<Op> pass) {
  const int64_t all = pass.outer * pass.chunks, lane = threadIdx.x % 32;
  for (int64_t r = grid_thread() / 32; r < all; r += grid_threads() / 32) {
    const int64_t o = r / pass.chunks, begin = r % pass.chunks * pass.chunk;
    const int64_t end = begin + pass.chunk < pass.columns ? begin + pass.chunk : pass.columns;
    typename Op::Sum sum = Op::nothing();
    for (int64_t c = begin + lane; c < end; c += 32) sum = Op{}(sum, load(pass, o, c, 0));
    sum = over_warp_of<Op>(sum);
    if (lane == 0) store(pass, r, sum);
  }
}

// A thread per chunk of a column: lanes side by side along `inner`.
template <typename Op>
__global__ void reduce_columns(const Pass<Op> pass) {
  const int64_t all = pass.outer * pass.chunks * pass.inner;
  for (int64_t t = grid_thread(); t < all; t += grid_threads()) {
    const int64_t i = t % pass.inner, r = t / pass.inner;
    const int64_t o = r / pass.chunks, begin = r % pass.chunks * pass.chunk;
    const int64_t end = begin + pass.chunk < pass.columns ? begin + pass.chunk : pass.columns;
    typename Op::Sum sum = Op::nothing();
    for (int64_t c = begin; c < end; ++c) sum = Op{}(sum, load(pass, o, c, i));
    store(pass, t, sum);
  }
}

template <typename Op>
void run_pass(Pass<Op> pass) {
  const int64_t all = pass.outer * pass.chunks * pass.inner;
  if (pass.inner == 1) {
    launch<reduce_rows<Op>>(grid_for(32 * all), dim3(kThreads), 0, current_stream(), pass);
  } else {
    launch<reduce_columns<Op>>(grid_for(all), dim3(kThreads), 0, current_stream(), pass);
  }
}

template <typename Op>
void reduce_from(const typename Op::Input* x, const typename Op::Sum* partials, typename Op::Output* y, Rows rows) {
  const int64_t chunk = rows.inner == 1 ? 32 * kChain : kChain;
  const int64_t chunks = rows.columns <= chunk ? 1 : ceil_div(rows.columns, chunk);
  Pass<Op> pass{x, partials, nullptr, y, rows.outer, rows.columns, rows.inner, chunks, chunk};
  if (chunks == 1) return run_pass(pass);
  const Workspace between(static_cast<std::size_t>(rows.outer * chunks * rows.inner) * sizeof(typename Op::Sum));
  pass.more_partials = between.as<typename Op::Sum>();
  run_pass(pass);
  reduce_from<Op>(nullptr, pass.more_partials, y, {rows.outer, chunks, rows.inner});
}

template <typename Op>
void reduce_with(const void* x, void* y, Rows rows) {
  if (rows.outer * rows.inner == 0) return;
  reduce_from<Op>(static_cast<const typename Op::Input*>(x), nullptr, static_cast<typename Op::Output*>(y), rows);
}

template <typename T>
void reduce_floats(Reduction reduction, const void* x, void* y, Rows rows) {
  switch (reduction) {
    case Reduction::Sum: return reduce_with<Adding<T, T, Wide<T>>>(x, y, rows);
    case Reduction::Prod: return reduce_with<Multiplying<T, T, Wide<T>>>(x, y, rows);
    case Reduction::Max: return reduce_with<Extreme<T, true>>(x, y, rows);
    case Reduction::Min: return reduce_with<Extreme<T, false>>(x, y, rows);
    case Reduction::Squares: return reduce_with<AddingSquares<T>>(x, y, rows);
  }
}

template <typename T>
void reduce_integers(Reduction reduction, const void* x, void* y, Rows rows) {
  switch (reduction) {
    case Reduction::Sum: return reduce_with<Adding<T, int64_t, int64_t>>(x, y, rows);
    case Reduction::Prod: return reduce_with<Multiplying<T, int64_t, int64_t>>(x, y, rows);
    case Reduction::Max: return reduce_with<Extreme<T, true>>(x, y, rows);
    default: return reduce_with<Extreme<T, false>>(x, y, rows);
  }
}

void reduce(Reduction reduction, DType dtype, const void* x, void* y, Rows rows) {
  switch (dtype) {
    case DType::Float32: return reduce_floats<float>(reduction, x, y, rows);
    case DType::Float64: return reduce_floats<double>(reduction, x, y, rows);
    case DType::Float16: return reduce_floats<Float16>(reduction, x, y, rows);
    case DType::BFloat16: return reduce_floats<BFloat16>(reduction, x, y, rows);
    case DType::Int32: return reduce_integers<int32_t>(reduction, x, y, rows);
    case DType::Int64: return reduce_integers<int64_t>(reduction, x, y, rows);
    default: return reduce_integers<uint8_t>(reduction, x, y, rows);  // and bool, whose bytes are 0 and 1
  }
}

template <typename T>
void argument_of(bool largest, const void* x, int32_t* y, Rows rows) {
  if (largest) return reduce_with<ArgumentOf<T, true>>(x, y, rows);
  reduce_with<ArgumentOf<T, false>>(x, y, rows);
}

void argument(bool largest, DType dtype, const void* x, int32_t* y, Rows rows) {
  switch (dtype) {
    case DType::Float32: return argument_of<float>(largest, x, y, rows);
    case DType::Float64: return argument_of<double>(largest, x, y, rows);
    case DType::Int32: return argument_of<int32_t>(largest, x, y, rows);
    case DType::Int64: return argument_of<int64_t>(largest, x, y, rows);
    default: return argument_of<uint8_t>(largest, x, y, rows);
  }
}

template <typename T>
void truth_of(bool all, const void* x, bool* y, Rows rows) {
  if (all) return reduce_with<Truth<T, true>>(x, y, rows);
  reduce_with<Truth<T, false>>(x, y, rows);
}

void truth(bool all, DType dtype, const void* x, bool* y, Rows rows) {
  switch (dtype) {
    case DType::Float32: return truth_of<float>(all, x, y, rows);
    case DType::Float64: return truth_of<double>(all, x, y, rows);
    case DType::Int32: return truth_of<int32_t>(all, x, y, rows);
    case DType::Int64: return truth_of<int64_t>(all, x, y, rows);
    default: return truth_of<uint8_t>(all, x, y, rows);
  }
}

// --- logsumexp ------------------------------------------------------------------------------------------------------

template <typename G, typename T>
__global__ void logsumexp_rows(const T* x, T* y, Rows rows) {
  for (int64_t r = G::first_row(); r < rows.outer; r += G::row_step()) {
    Kept<G, T> row;
    row.load(x, line_of(r, rows), rows.columns);
    T peak = -T(INFINITY), sum = 0;
    each_column<G>(rows.columns, [&](int64_t c, int e) { peak = larger(peak, row.at(c, e)); });
    peak = over_group<G>(peak, TakesLarger{});
    const T shift = fabs(peak) == T(INFINITY) ? T(0) : peak;  // no Inf - Inf
    each_column<G>(rows.columns, [&](int64_t c, int e) { sum += exp(row.at(c, e) - shift); });
    sum = over_group<G>(sum, Adds{});
    if (G::lane() == 0) y[r] = shift + log(sum);
  }
}

template <typename T>
void logsumexp_of(const void* x, void* y, Rows rows) {
  if (rows.outer == 0) return;
  with_group(rows, [&](auto group) {
    using G = decltype(group);
    launch<logsumexp_rows<G, T>>(G::grid(rows.outer), dim3(kThreads), 0, current_stream(), static_cast<const T*>(x),
                                 static_cast<T*>(y), rows);
  });
}

void logsumexp(DType dtype, const void* x, void* y, Rows rows) {
  if (dtype == DType::Float32) return logsumexp_of<float>(x, y, rows);
  logsumexp_of<double>(x, y, rows);
}

// --- what is still to be done to sums -------------------------------------------------------------------------------

template <typename T>
__global__ void divide(T* y, int64_t count, T terms) {
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) y[i] = y[i] / terms;
}

template <typename T>
__global__ void take_root(T* y, int64_t count) {
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) y[i] = sqrt(y[i]);
}

template <typename T>
void mean_of(void* y, int64_t count, double terms) {
  launch<divide<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), static_cast<T*>(y), count, T(terms));
}

template <typename T>
void root_of(void* y, int64_t count) {
  launch<take_root<T>>(grid_for(count), dim3(kThreads), 0, current_stream(), static_cast<T*>(y), count);
}

void mean_of_sum(DType dtype, void* y, int64_t count, double terms) {
  if (dtype == DType::Float32) return mean_of<float>(y, count, terms);
  mean_of<double>(y, count, terms);
}

void root(DType dtype, void* y, int64_t count) {
  if (dtype == DType::Float32) return root_of<float>(y, count);
  root_of<double>(y, count);
}

}  // namespace

extern const ReduceKernels reduce_kernels;
const ReduceKernels reduce_kernels = {reduce, argument, logsumexp, mean_of_sum, root, truth};

}  // namespace RANVIER_GPU
}  // namespace ranvier
