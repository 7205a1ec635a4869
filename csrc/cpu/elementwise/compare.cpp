// equal, not_equal, less, less_equal, and, or: bool for every dtype. A NaN is unequal to all, itself included.
#include "cpu/elementwise/walk.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

#if defined(__AVX512F__)

// A bit for each lane. Those of 64 elements become bytes at once, where compilers make bytes of a vector at a time.
template <BinaryOp kOp>
RANVIER_INLINE uint64_t meets(__m512 p, __m512 q) {
  constexpr int kHow = kOp == BinaryOp::Equal      ? _CMP_EQ_OQ
                       : kOp == BinaryOp::NotEqual ? _CMP_NEQ_UQ
                       : kOp == BinaryOp::Less     ? _CMP_LT_OQ
                                                   : _CMP_LE_OQ;
  return _mm512_cmp_ps_mask(p, q, kHow);
}
template <BinaryOp kOp>
RANVIER_INLINE uint64_t meets(__m512d p, __m512d q) {
  constexpr int kHow = kOp == BinaryOp::Equal      ? _CMP_EQ_OQ
                       : kOp == BinaryOp::NotEqual ? _CMP_NEQ_UQ
                       : kOp == BinaryOp::Less     ? _CMP_LT_OQ
                                                   : _CMP_LE_OQ;
  return _mm512_cmp_pd_mask(p, q, kHow);
}
RANVIER_INLINE __m512 raw(Vec<float> v) { return (__m512)v; }
RANVIER_INLINE __m512d raw(Vec<double> v) { return (__m512d)v; }

template <typename T, BinaryOp kOp, bool kMovesP, bool kMovesQ>
void compare_run(const T* p, const T* q, bool* r, int64_t count) {
  constexpr int64_t w = kWidth<T>;
  const Vec<T> p0 = broadcast(*p), q0 = broadcast(*q);
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
    uint64_t bits = 0;
#pragma GCC unroll 8
    for (int64_t k = 0; k < 64; k += w) {
      bits |= meets<kOp>(raw(kMovesP ? load(p + i + k) : p0), raw(kMovesQ ? load(q + i + k) : q0)) << k;
    }
    _mm512_storeu_si512(r + i, _mm512_maskz_set1_epi8(bits, 1));
  }
  for (; i < count; i += w) {
    const int64_t left = min_of(w, count - i);
    const uint64_t bits =
        meets<kOp>(raw(kMovesP ? load_partial(p + i, left) : p0), raw(kMovesQ ? load_partial(q + i, left) : q0));
    _mm_mask_storeu_epi8(r + i, static_cast<__mmask16>((1U << left) - 1),
                         _mm_maskz_set1_epi8(static_cast<__mmask16>(bits), 1));
  }
}

template <typename T, BinaryOp kOp>
void compare_floats(const T* a, const T* b, bool* y, const Broadcast& shape) {
  if (has_short_rows(shape)) {
    return each_short_rows(a, b, shape, [&](const T* p, const T* q, int64_t out, int64_t count) {
      compare_run<T, kOp, true, true>(p, q, y + out, count);
    });
  }
  const int last = shape.axes - 1;
  const auto run = shape.strides[0][last] == 0   ? compare_run<T, kOp, false, true>
                   : shape.strides[1][last] == 0 ? compare_run<T, kOp, true, false>
                                                 : compare_run<T, kOp, true, true>;
  each_run(shape, [&](const int64_t* offsets, int64_t out, int64_t count) {
    run(a + offsets[0], b + offsets[1], y + out, count);
  });
}

// Says whether it has done it.
template <typename T>
bool compare_as_bits(BinaryOp op, const void* a, const void* b, void* y, const Broadcast& shape) {
  const auto by = op == BinaryOp::Equal       ? compare_floats<T, BinaryOp::Equal>
                  : op == BinaryOp::NotEqual  ? compare_floats<T, BinaryOp::NotEqual>
                  : op == BinaryOp::Less      ? compare_floats<T, BinaryOp::Less>
                  : op == BinaryOp::LessEqual ? compare_floats<T, BinaryOp::LessEqual>
                                              : nullptr;
  if (by == nullptr) return false;
  by(static_cast<const T*>(a), static_cast<const T*>(b), static_cast<bool*>(y), shape);
  return true;
}

#else

template <typename T>
bool compare_as_bits(BinaryOp, const void*, const void*, void*, const Broadcast&) {
  return false;
}

#endif

template <typename T>
void compare(BinaryOp op, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (op) {
    case BinaryOp::Equal: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return p == q; });
    case BinaryOp::NotEqual: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return p != q; });
    case BinaryOp::Less: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return p < q; });
    case BinaryOp::LessEqual: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return p <= q; });
    case BinaryOp::And: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return bool((p != 0) & (q != 0)); });
    default: return binary_loop<T, bool>(a, b, y, shape, [](T p, T q) { return bool((p != 0) | (q != 0)); });
  }
}

}  // namespace

void elementwise_compare(BinaryOp op, DType dtype, const void* a, const void* b, void* y, const Broadcast& shape) {
  switch (dtype) {
    case DType::Float32:
      if (!compare_as_bits<float>(op, a, b, y, shape)) compare<float>(op, a, b, y, shape);
      return;
    case DType::Float64:
      if (!compare_as_bits<double>(op, a, b, y, shape)) compare<double>(op, a, b, y, shape);
      return;
    case DType::Int32: return compare<int32_t>(op, a, b, y, shape);
    case DType::Int64: return compare<int64_t>(op, a, b, y, shape);
    default: return compare<uint8_t>(op, a, b, y, shape);
  }
}

}  // namespace RANVIER_ISA
}  // namespace ranvier
