#include "ops/random.h"

#include <math.h>

#include "cpu/simd.h"

#if !defined(__AVX2__) && defined(__SSE2__)
#include <emmintrin.h>
#endif

// Compiled with -ffp-contract=off (CMakeLists.txt): a fused multiply-add rounds once where the reference
// and a processor without it round twice, and normals must agree bit for bit.

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// --- words --------------------------------------------------------------------------------------------

typedef uint32_t Words __attribute__((vector_size(kVectorBytes)));
typedef uint64_t Pairs __attribute__((vector_size(kVectorBytes)));
constexpr int kLanes = kVectorBytes / 4;  // blocks computed side by side

// Products of the low halves of each pair of words, in full.
RANVIER_INLINE Pairs multiply_even(Words a, Words b) {
#if defined(__AVX512F__)
  return (Pairs)_mm512_maskz_mul_epu32((__mmask8)-1, (__m512i)a, (__m512i)b);  // masked: quiets a false warning of GCC
#elif defined(__AVX2__)
  return (Pairs)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (Pairs)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return ((Pairs)a & 0xFFFFFFFFu) * ((Pairs)b & 0xFFFFFFFFu);
#endif
}

// 32 x 32 -> 64 bit products of all lanes, as their high and low words.
RANVIER_INLINE void multiply_wide(Words a, uint32_t factor, Words& high, Words& low) {
  const Words b = Words{} + factor;
  const Pairs even = multiply_even(a, b);
  const Pairs odd = multiply_even((Words)((Pairs)a >> 32), b);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  high = (Words)((even >> 32) | (odd & 0xFFFFFFFF00000000u));
  low = (Words)((even & 0xFFFFFFFFu) | (odd << 32));
#else
#error "lane order of 32-bit words in 64-bit pairs: little-endian only"
#endif
}

// Blocks first .. first + kLanes - 1 of a key, as 4 * kLanes words in stream order.
RANVIER_INLINE void philox_blocks(uint64_t key, uint64_t first, uint32_t* out) {
  uint32_t lanes[4][kLanes];
  for (int i = 0; i < kLanes; ++i) {
    lanes[0][i] = (uint32_t)(first + i);
    lanes[1][i] = (uint32_t)((first + i) >> 32);
  }
  Words c0, c1, c2{}, c3{};
  memcpy(&c0, lanes[0], sizeof(c0));
  memcpy(&c1, lanes[1], sizeof(c1));
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    Words high0, low0, high1, low1;
    multiply_wide(c0, kPhiloxMultiplier[0], high0, low0);
    multiply_wide(c2, kPhiloxMultiplier[1], high1, low1);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += kPhiloxWeyl[0];
    k1 += kPhiloxWeyl[1];
  }
  memcpy(lanes[0], &c0, sizeof(c0));
  memcpy(lanes[1], &c1, sizeof(c1));
  memcpy(lanes[2], &c2, sizeof(c2));
  memcpy(lanes[3], &c3, sizeof(c3));
  for (int i = 0; i < kLanes; ++i) {
    for (int word = 0; word < 4; ++word) out[4 * i + word] = lanes[word][i];
  }
}

constexpr int64_t kChunkWords = 1024;  // a chunk's words stay in L1 between making and use

// body(words, begin, count) for every chunk of n elements that take kWordsEach words each.
template <int kWordsEach, typename Body>
RANVIER_INLINE void each_chunk(PhiloxStream stream, int64_t n, const Body& body) {
  constexpr int64_t kElements = kChunkWords / kWordsEach;
  parallel(0, ceil_div(n, kElements), 8, [&](int64_t begin, int64_t end) {
    uint32_t words[kChunkWords];
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const uint64_t block = stream.counter + (uint64_t)chunk * (kChunkWords / 4);
      const int64_t count = min_of(kElements, n - chunk * kElements);
      for (int64_t word = 0; word < count * kWordsEach; word += 4 * kLanes) {
        philox_blocks(stream.key, block + (uint64_t)word / 4, words + word);
      }
      body(words, chunk * kElements, count);
    }
  });
}

RANVIER_INLINE uint64_t join(const uint32_t* words, int64_t i) {
  return (uint64_t)words[2 * i + 1] << 32 | words[2 * i];
}

// --- continuous distributions ---------------------------------------------------------------------------

template <typename T>
constexpr int kWordsOf = sizeof(T) / 4;

// k / 2^24 or k / 2^53: in [0, 1), every value exact in T.
RANVIER_INLINE double unit(const uint32_t* words, int64_t i, float) { return (double)(words[i] >> 8) * 0x1p-24; }
RANVIER_INLINE double unit(const uint32_t* words, int64_t i, double) {
  return (double)(join(words, i) >> 11) * 0x1p-53;
}

// (k + 1/2) / 2^32 or / 2^52: in (0, 1), symmetric about 1/2, exact in float64.
RANVIER_INLINE double open_unit(const uint32_t* words, int64_t i, float) { return ((double)words[i] + 0.5) * 0x1p-32; }
RANVIER_INLINE double open_unit(const uint32_t* words, int64_t i, double) {
  return ((double)(join(words, i) >> 12) + 0.5) * 0x1p-52;
}

template <typename T>
void uniform(PhiloxStream stream, UniformRange range, T* out, int64_t n) {
  const double width = range.high - range.low;
  const T high = (T)range.high, last = (T)range.last;
  each_chunk<kWordsOf<T>>(stream, n, [&](const uint32_t* words, int64_t begin, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const T value = (T)(range.low + width * unit(words, i, T{}));
      out[begin + i] = value < high ? value : last;
    }
  });
}

// Inverse of the normal distribution function: Wichura, algorithm AS 241 (PPND16), Applied Statistics 37
// (1988), relative error about 1e-16. Only + - * / and sqrt, each rounded once, so that every device agrees.
constexpr double kCentralTop[8] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                                   1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                                   3.3430575583588128105e4, 2.5090809287301226727e3};
constexpr double kCentralBottom[8] = {1.0,
                                      4.2313330701600911252e1,
                                      6.8718700749205790830e2,
                                      5.3941960214247511077e3,
                                      2.1213794301586595867e4,
                                      3.9307895800092710610e4,
                                      2.8729085735721942674e4,
                                      5.2264952788528545610e3};
constexpr double kMiddleTop[8] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                                  3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                                  2.27238449892691845833e-2, 7.74545014278341407640e-4};
constexpr double kMiddleBottom[8] = {1.0,
                                     2.05319162663775882187e0,
                                     1.67638483018380384940e0,
                                     6.89767334985100004550e-1,
                                     1.48103976427480074590e-1,
                                     1.51986665636164571966e-2,
                                     5.47593808499534494600e-4,
                                     1.05075007164441684324e-9};
constexpr double kFarTop[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                               2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                               2.71155556874348757815e-5, 2.01033439929228813265e-7};
constexpr double kFarBottom[8] = {1.0,
                                  5.99832206555887937690e-1,
                                  1.36929880922735805310e-1,
                                  1.48753612908506148525e-2,
                                  7.86869131145613259100e-4,
                                  1.84631831751005468180e-5,
                                  1.42151175831644588870e-7,
                                  2.04426310338993978564e-15};

RANVIER_INLINE double polynomial(const double (&c)[8], double r) {
  return ((((((c[7] * r + c[6]) * r + c[5]) * r + c[4]) * r + c[3]) * r + c[2]) * r + c[1]) * r + c[0];
}

// log(x) for normal x > 0: x = m 2^e with m in [sqrt(1/2), sqrt(2)), log m = 2 atanh(s), s = (m-1)/(m+1).
RANVIER_INLINE double exact_log(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof(bits));
  double e = (double)((int64_t)(bits >> 52) - 1022);
  bits = (bits & 0x000FFFFFFFFFFFFFu) | 0x3FE0000000000000u;  // m in [1/2, 1)
  double m;
  memcpy(&m, &bits, sizeof(m));
  const bool small = m < 0.70710678118654752;  // no branches: loops over this become vectors
  m = small ? m * 2.0 : m;
  e = small ? e - 1.0 : e;
  const double s = (m - 1.0) / (m + 1.0);
  const double t = s * s;  // at most 0.0295: eleven terms of the series leave 1e-17
  double series = 1.0 / 21.0;
  for (int k = 19; k >= 1; k -= 2) series = series * t + 1.0 / k;
  // ln 2 in two parts; the first has 32 bits, so that e times it is exact.
  return e * 6.93147180369123816490e-01 + (2.0 * s * series + e * 1.90821492927058770002e-10);
}

// z = Phi^-1(p) beyond the central 85%: the places that lie there, and their values.
struct Tails {
  int64_t count = 0;
  int64_t places[kChunkWords];
  double r[kChunkWords], z[kChunkWords];
};

RANVIER_INLINE void inverse_normal_tails(const double* p, Tails& tails) {
  const int64_t n = tails.count;
  for (int64_t k = 0; k < n; ++k) {
    const double own = p[tails.places[k]];
    tails.r[k] = own < 0.5 ? own : 1.0 - own;
  }
  for (int64_t k = 0; k < n; ++k) tails.r[k] = -exact_log(tails.r[k]);
  int64_t k = 0;
  for (; k + kWidth<double> <= n; k += kWidth<double>) store<double>(tails.r + k, sqrt(load(tails.r + k)));
  for (; k < n; ++k) tails.r[k] = ::sqrt(tails.r[k]);
  for (k = 0; k < n; ++k) {
    const double r = tails.r[k] - 1.6;
    tails.z[k] = polynomial(kMiddleTop, r) / polynomial(kMiddleBottom, r);
  }
  for (k = 0; k < n; ++k) {
    if (tails.r[k] <= 5.0) continue;  // nearly all
    const double r = tails.r[k] - 5.0;
    tails.z[k] = polynomial(kFarTop, r) / polynomial(kFarBottom, r);
  }
}

// z = Phi^-1(p): all by the formula of the central 85%, then the others by theirs.
RANVIER_INLINE void inverse_normal(const double* p, double* z, int64_t count) {
  Tails tails;
  for (int64_t i = 0; i < count; ++i) {
    tails.places[tails.count] = i;
    tails.count += !(fabs(p[i] - 0.5) <= 0.425);
  }
  for (int64_t i = 0; i < count; ++i) {
    const double q = p[i] - 0.5;
    const double r = 0.180625 - q * q;
    z[i] = q * polynomial(kCentralTop, r) / polynomial(kCentralBottom, r);
  }
  inverse_normal_tails(p, tails);
  for (int64_t k = 0; k < tails.count; ++k) {
    const int64_t i = tails.places[k];
    z[i] = p[i] < 0.5 ? -tails.z[k] : tails.z[k];
  }
}

constexpr double kTwoSigmaBelow = 0.022750131948179207;  // Phi(-2)
constexpr double kTwoSigmaWithin = 0.9544997361036416;   // Phi(2) - Phi(-2)

template <typename T>
void normal(PhiloxStream stream, NormalShape shape, T* out, int64_t n) {
  each_chunk<kWordsOf<T>>(stream, n, [&](const uint32_t* words, int64_t begin, int64_t count) {
    double p[kChunkWords], z[kChunkWords];
    for (int64_t i = 0; i < count; ++i) p[i] = open_unit(words, i, T{});
    if (shape.truncated) {
      for (int64_t i = 0; i < count; ++i) p[i] = kTwoSigmaBelow + kTwoSigmaWithin * p[i];
    }
    inverse_normal(p, z, count);
    if (shape.truncated) {
      for (int64_t i = 0; i < count; ++i) z[i] = z[i] < -2.0 ? -2.0 : z[i] > 2.0 ? 2.0 : z[i];
    }
    for (int64_t i = 0; i < count; ++i) out[begin + i] = (T)(shape.mean + shape.stddev * z[i]);
  });
}

template <typename T>
void dropout(PhiloxStream stream, Dropout dropout, const T* x, T* y, int64_t n) {
  const T scale = (T)dropout.scale;
  const uint32_t threshold = (uint32_t)dropout.threshold;  // rate < 1, so it fits
  each_chunk<1>(stream, n, [&](const uint32_t* words, int64_t begin, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const T kept = x[begin + i] * scale;
      y[begin + i] = words[i] < threshold ? T(0) : kept;
    }
  });
}

// --- discrete distributions -----------------------------------------------------------------------------

void bits(PhiloxStream stream, int64_t* out, int64_t n) {
  each_chunk<1>(stream, n, [&](const uint32_t* words, int64_t begin, int64_t count) {
    for (int64_t i = 0; i < count; ++i) out[begin + i] = words[i];
  });
}

void bernoulli(PhiloxStream stream, uint64_t threshold, uint8_t* out, int64_t n) {
  each_chunk<1>(stream, n, [&](const uint32_t* words, int64_t begin, int64_t count) {
    for (int64_t i = 0; i < count; ++i) out[begin + i] = (uint64_t)words[i] < threshold;
  });
}

// The high half of range * k: its bias is at most range / 2^64, which no experiment sees.
void integers(PhiloxStream stream, int64_t low, uint64_t range, int64_t* out, int64_t n) {
  each_chunk<2>(stream, n, [&](const uint32_t* words, int64_t begin, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t offset = (uint64_t)(((unsigned __int128)join(words, i) * range) >> 64);
      out[begin + i] = (int64_t)((uint64_t)low + offset);
    }
  });
}

struct KeyedIndex {
  uint64_t key;
  int64_t index;
};

// Passes of a radix sort by as many of the highest bits as it takes to number the keys leave next to nothing to an
// insertion sort by all 64: the keys are random. All of it is stable, so that equal keys keep their order.
constexpr int kMostDigitBits = 11, kMostDigits = 3;

struct Digits {
  int bits, count;

  explicit Digits(int64_t n) {
    const int wanted = n < 2 ? 1 : 64 - __builtin_clzll(uint64_t(n - 1));
    count = wanted <= kMostDigitBits ? 1 : wanted <= 2 * kMostDigitBits ? 2 : kMostDigits;
    bits = min_of(kMostDigitBits, (wanted + count - 1) / count);
  }
  int values() const { return 1 << bits; }
  RANVIER_INLINE int64_t of(uint64_t key, int digit) const {
    return (int64_t)(key >> (64 - (count - digit) * bits) & (uint64_t)(values() - 1));
  }
};

// Returns which of the two arrays has them in the end.
KeyedIndex* sort_random_keys(KeyedIndex* items, KeyedIndex* spare, int64_t n) {
  const Digits digits(n);
  int64_t starts[kMostDigits][1 << kMostDigitBits];
  for (int digit = 0; digit < digits.count; ++digit) {
    memset(starts[digit], 0, (size_t)digits.values() * sizeof(int64_t));
  }
  for (int64_t i = 0; i < n; ++i) {
    for (int digit = 0; digit < digits.count; ++digit) starts[digit][digits.of(items[i].key, digit)]++;
  }
  for (int digit = 0; digit < digits.count; ++digit) {
    int64_t start = 0;
    for (int value = 0; value < digits.values(); ++value) {
      const int64_t count = starts[digit][value];
      starts[digit][value] = start;
      start += count;
    }
    for (int64_t i = 0; i < n; ++i) spare[starts[digit][digits.of(items[i].key, digit)]++] = items[i];
    KeyedIndex* sorted = spare;
    spare = items;
    items = sorted;
  }
  for (int64_t i = 1; i < n; ++i) {
    const KeyedIndex item = items[i];
    int64_t at = i;
    for (; at > 0 && items[at - 1].key > item.key; --at) items[at] = items[at - 1];
    items[at] = item;
  }
  return items;
}

void permutation(PhiloxStream stream, int64_t* out, int64_t n) {
  KeyedIndex* a = (KeyedIndex*)thread_scratch(kScratchA, (size_t)n * sizeof(KeyedIndex));
  KeyedIndex* b = (KeyedIndex*)thread_scratch(kScratchB, (size_t)n * sizeof(KeyedIndex));
  each_chunk<2>(stream, n, [&](const uint32_t* words, int64_t begin, int64_t count) {
    for (int64_t i = 0; i < count; ++i) a[begin + i] = {join(words, i), begin + i};
  });
  const KeyedIndex* sorted = sort_random_keys(a, b, n);
  for (int64_t i = 0; i < n; ++i) out[i] = sorted[i].index;
}

}  // namespace

extern const RandomKernels random_kernels;
const RandomKernels random_kernels = {
    {{uniform<float>, normal<float>, dropout<float>}, {uniform<double>, normal<double>, dropout<double>}},
    bits,
    bernoulli,
    integers,
    permutation,
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
