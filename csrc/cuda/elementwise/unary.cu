// negative, exp, expm1, log, log1p, erf, sqrt, square, absolute, sign, isnan, isfinite, logical_not; clip and its
// gradient.
#include "cuda/elementwise/walk.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// One struct for each op: what a kernel is compiled for.
#define RANVIER_UNARY(Name, expression)                          \
  template <typename T>                                          \
  struct Name {                                                  \
    __device__ auto operator()(T v) const { return expression; } \
  }
RANVIER_UNARY(Negative, T(-v));
RANVIER_UNARY(Exp, T(exp(v)));
RANVIER_UNARY(Expm1, T(expm1(v)));
RANVIER_UNARY(Log, T(log(v)));
RANVIER_UNARY(Log1p, T(log1p(v)));
RANVIER_UNARY(Erf, T(erf(v)));
RANVIER_UNARY(Sqrt, T(sqrt(v)));
RANVIER_UNARY(Square, T(v* v));
RANVIER_UNARY(Absolute, T(fabs(v)));
RANVIER_UNARY(Sign, v > T(0) ? T(1) : v < T(0) ? T(-1) : v == T(0) ? T(0) : v);  // 0 for both zeros, NaN for NaN
RANVIER_UNARY(IsNan, bool(v != v));
RANVIER_UNARY(IsFinite, bool(fabs(v) < T(INFINITY)));
RANVIER_UNARY(LogicalNot, bool(v == T(0)));
RANVIER_UNARY(WrappedNegative, T(Wrap<T>(0) - Wrap<T>(v)));
RANVIER_UNARY(WrappedSquare, T(Wrap<T>(v) * Wrap<T>(v)));
RANVIER_UNARY(WrappedAbsolute, v > T(0) || v == T(0) ? v : T(Wrap<T>(0) - Wrap<T>(v)));
RANVIER_UNARY(Never, bool(v != v));
RANVIER_UNARY(Always, bool(v == v));
#undef RANVIER_UNARY

template <typename T>
void integer_unary(UnaryOp op, const void* x, void* y, int64_t n) {
  switch (op) {
    case UnaryOp::Negative: return unary_kernel<T, T>(x, y, n, WrappedNegative<T>{});
    case UnaryOp::Square: return unary_kernel<T, T>(x, y, n, WrappedSquare<T>{});
    case UnaryOp::Absolute: return unary_kernel<T, T>(x, y, n, WrappedAbsolute<T>{});
    case UnaryOp::Sign: return unary_kernel<T, T>(x, y, n, Sign<T>{});
    case UnaryOp::IsNan: return unary_kernel<T, bool>(x, y, n, Never<T>{});
    case UnaryOp::IsFinite: return unary_kernel<T, bool>(x, y, n, Always<T>{});
    default: return unary_kernel<T, bool>(x, y, n, LogicalNot<T>{});
  }
}

template <typename T>
void floating_unary(UnaryOp op, const void* x, void* y, int64_t n) {
  switch (op) {
    case UnaryOp::Negative: return unary_kernel<T, T>(x, y, n, Negative<T>{});
    case UnaryOp::Exp: return unary_kernel<T, T>(x, y, n, Exp<T>{});
    case UnaryOp::Log: return unary_kernel<T, T>(x, y, n, Log<T>{});
    case UnaryOp::Expm1: return unary_kernel<T, T>(x, y, n, Expm1<T>{});
    case UnaryOp::Log1p: return unary_kernel<T, T>(x, y, n, Log1p<T>{});
    case UnaryOp::Erf: return unary_kernel<T, T>(x, y, n, Erf<T>{});
    case UnaryOp::Sqrt: return unary_kernel<T, T>(x, y, n, Sqrt<T>{});
    case UnaryOp::Square: return unary_kernel<T, T>(x, y, n, Square<T>{});
    case UnaryOp::Absolute: return unary_kernel<T, T>(x, y, n, Absolute<T>{});
    case UnaryOp::Sign: return unary_kernel<T, T>(x, y, n, Sign<T>{});
    case UnaryOp::IsNan: return unary_kernel<T, bool>(x, y, n, IsNan<T>{});
    case UnaryOp::IsFinite: return unary_kernel<T, bool>(x, y, n, IsFinite<T>{});
    default: return unary_kernel<T, bool>(x, y, n, LogicalNot<T>{});
  }
}

template <typename T>
struct Clip {
  T low, high;
  __device__ T operator()(T v) const { return smaller(larger(v, low), high); }
};

template <typename T>
struct ClipSlope {
  T low, high;
  __device__ T operator()(T v, T dy) const { return v < low || v > high ? T(0) : dy; }
};

template <typename T>
void clip_backward(const void* x, const void* dy, T low, T high, void* dx, int64_t n) {
  launch<combine_row<T, T, ClipSlope<T>>>(grid_for(n), dim3(kThreads), 0, current_stream(), static_cast<const T*>(x),
                                          int64_t(1), static_cast<const T*>(dy), int64_t(1), static_cast<T*>(dx), n,
                                          ClipSlope<T>{low, high});
}

}  // namespace

void elementwise_unary(UnaryOp op, DType dtype, const void* x, void* y, int64_t n) {
  switch (dtype) {
    case DType::Float32: return floating_unary<float>(op, x, y, n);
    case DType::Float64: return floating_unary<double>(op, x, y, n);
    case DType::Int32: return integer_unary<int32_t>(op, x, y, n);
    case DType::Int64: return integer_unary<int64_t>(op, x, y, n);
    default: return integer_unary<uint8_t>(op, x, y, n);
  }
}

void elementwise_clip(DType dtype, const void* x, double low, double high, void* y, int64_t n) {
  if (dtype == DType::Float32) return unary_kernel<float, float>(x, y, n, Clip<float>{float(low), float(high)});
  unary_kernel<double, double>(x, y, n, Clip<double>{low, high});
}

void elementwise_clip_backward(DType dtype, const void* x, const void* dy, double low, double high, void* dx,
                               int64_t n) {
  if (dtype == DType::Float32) return clip_backward<float>(x, dy, float(low), float(high), dx, n);
  clip_backward<double>(x, dy, low, high, dx, n);
}

}  // namespace RANVIER_GPU
}  // namespace ranvier
