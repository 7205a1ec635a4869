// negative, exp, expm1, log, log1p, erf, sqrt, square, absolute, sign, isnan, isfinite, logical_not; clip and its
// gradient.
#include "cpu/elementwise/walk.h"
#include "cpu/row.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

template <typename T, typename R, typename Op>
RANVIER_INLINE void unary_loop(const void* x, void* y, int64_t n, const Op& op) {
  const T* p = static_cast<const T*>(x);
  R* r = static_cast<R*>(y);
  parallel(0, n, element_grain(n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) r[i] = op(p[i]);
  });
}

constexpr int64_t kDearGrain = 4096;  // of functions that cost some dozens of instructions

// The tail goes through the same vector code, so that an element's value does not depend on its place.
template <typename T, typename Op>
RANVIER_INLINE void vector_loop(const void* x, void* y, int64_t n, const Op& op, int64_t grain = kDearGrain) {
  const T* p = static_cast<const T*>(x);
  T* r = static_cast<T*>(y);
  parallel(0, n, grain, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + kWidth<T> <= end; i += kWidth<T>) store<T>(r + i, op(load(p + i)));
    if (i < end) store_partial<T>(r + i, op(load_partial(p + i, end - i)), end - i);
  });
}

template <typename T, typename U>
void integer_unary(UnaryOp op, const void* x, void* y, int64_t n) {
  switch (op) {
    case UnaryOp::Negative: return unary_loop<T, T>(x, y, n, [](T v) { return T(U(0) - U(v)); });
    case UnaryOp::Square: return unary_loop<T, T>(x, y, n, [](T v) { return T(U(v) * U(v)); });
    case UnaryOp::Absolute: return unary_loop<T, T>(x, y, n, [](T v) { return v < 0 ? T(U(0) - U(v)) : v; });
    case UnaryOp::Sign: return unary_loop<T, T>(x, y, n, [](T v) { return T((v > 0) - (v < 0)); });
    case UnaryOp::IsNan: return unary_loop<T, bool>(x, y, n, [](T) { return false; });
    case UnaryOp::IsFinite: return unary_loop<T, bool>(x, y, n, [](T) { return true; });
    default: return unary_loop<T, bool>(x, y, n, [](T v) { return v == 0; });
  }
}

template <typename T>
void floating_unary(UnaryOp op, const void* x, void* y, int64_t n) {
  switch (op) {
    case UnaryOp::Negative: return unary_loop<T, T>(x, y, n, [](T v) { return -v; });
    case UnaryOp::Exp: return vector_loop<T>(x, y, n, [](Vec<T> v) { return exp(v); });
    case UnaryOp::Log: return vector_loop<T>(x, y, n, [](Vec<T> v) { return log(v); });
    case UnaryOp::Expm1: return vector_loop<T>(x, y, n, [](Vec<T> v) { return expm1(v); });
    case UnaryOp::Log1p: return vector_loop<T>(x, y, n, [](Vec<T> v) { return log1p(v); });
    case UnaryOp::Erf: return vector_loop<T>(x, y, n, [](Vec<T> v) { return erf(v); });
    case UnaryOp::Sqrt: return vector_loop<T>(x, y, n, [](Vec<T> v) { return sqrt(v); });
    case UnaryOp::Square: return unary_loop<T, T>(x, y, n, [](T v) { return v * v; });
    case UnaryOp::Absolute: return unary_loop<T, T>(x, y, n, [](T v) { return T(fabs(v)); });
    case UnaryOp::Sign:  // 0 for both zeros, NaN for NaN
      return vector_loop<T>(
          x, y, n,
          [](Vec<T> v) {
            const Vec<T> positive = select(v > T(0), broadcast<T>(1), v);
            return select(v < T(0), broadcast<T>(-1), select(v == T(0), Vec<T>{}, positive));
          },
          element_grain(n));
    case UnaryOp::IsNan: return unary_loop<T, bool>(x, y, n, [](T v) { return v != v; });
    case UnaryOp::IsFinite: return unary_loop<T, bool>(x, y, n, [](T v) { return fabs(v) < T(INFINITY); });
    default: return unary_loop<T, bool>(x, y, n, [](T v) { return v == 0; });
  }
}

template <typename T>
void clip(const void* x, T low, T high, void* y, int64_t n) {
  vector_loop<T>(x, y, n, [=](Vec<T> v) { return min(max(v, broadcast(low)), broadcast(high)); });
}

template <typename T>
void clip_backward(const void* x, const void* dy, T low, T high, void* dx, int64_t n) {
  const T* p = static_cast<const T*>(x);
  const T* d = static_cast<const T*>(dy);
  T* r = static_cast<T*>(dx);
  parallel(0, n, element_grain(n), [&](int64_t begin, int64_t end) {
    each_vector<T>(end - begin, [&](int64_t at, int64_t left) RANVIER_INLINED {
      const int64_t i = begin + at;
      const Vec<T> v = load_some(p + i, left), gradient = ahead(load_some(d + i, left));
      store_some(r + i, select((v < low) | (v > high), Vec<T>{}, gradient), left);
    });
  });
}

}  // namespace

void elementwise_unary(UnaryOp op, DType dtype, const void* x, void* y, int64_t n) {
  switch (dtype) {
    case DType::Float32: return floating_unary<float>(op, x, y, n);
    case DType::Float64: return floating_unary<double>(op, x, y, n);
    case DType::Int32: return integer_unary<int32_t, uint32_t>(op, x, y, n);
    case DType::Int64: return integer_unary<int64_t, uint64_t>(op, x, y, n);
    default: return integer_unary<uint8_t, uint32_t>(op, x, y, n);
  }
}

void elementwise_clip(DType dtype, const void* x, double low, double high, void* y, int64_t n) {
  if (dtype == DType::Float32) return clip<float>(x, float(low), float(high), y, n);
  clip<double>(x, low, high, y, n);
}

void elementwise_clip_backward(DType dtype, const void* x, const void* dy, double low, double high, void* dx,
                               int64_t n) {
  if (dtype == DType::Float32) return clip_backward<float>(x, dy, float(low), float(high), dx, n);
  clip_backward<double>(x, dy, low, high, dx, n);
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
