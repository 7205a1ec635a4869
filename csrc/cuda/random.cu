// Random numbers: bit for bit those of csrc/cpu/random.cpp, whatever the grid, for element i is a function of key,
// counter and i alone.
//
// Compiled without fused multiply-adds (CMakeLists.txt): a fused one rounds once where the reference rounds twice.
#include "ops/random.h"

#include "cuda/launch.h"
#include "cuda/sort.h"

namespace ranvier {
namespace RANVIER_GPU {
namespace {

// --- words --------------------------------------------------------------------------------------------

__device__ uint4 philox_block(PhiloxStream stream, uint64_t number) {
  const uint64_t block = stream.counter + number;
  uint32_t c0 = uint32_t(block), c1 = uint32_t(block >> 32), c2 = 0, c3 = 0;
  uint32_t k0 = uint32_t(stream.key), k1 = uint32_t(stream.key >> 32);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint32_t high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
    const uint32_t high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

constexpr int kChunkWords = 4 * kThreads;

// Each thread makes the four words of one Philox block. An element's words would then lie in the thread that made them,
// and a warp would write every fourth element at a time, 16 sectors for 32 floats; so the words of a block of threads
// change hands in shared memory, and lane after lane writes element after element, 4 sectors for 32 floats.
template <int kWordsEach, typename Draw>
__global__ void __launch_bounds__(kThreads) draw_each(PhiloxStream stream, int64_t n, Draw draw) {
  constexpr int kElements = kChunkWords / kWordsEach;
  __shared__ uint4 blocks[kThreads];
  for (int64_t chunk = blockIdx.x; chunk * kElements < n; chunk += gridDim.x) {
    blocks[threadIdx.x] = philox_block(stream, uint64_t(chunk) * kThreads + threadIdx.x);
    __syncthreads();
    const uint32_t* words = reinterpret_cast<const uint32_t*>(blocks);
    for (int e = threadIdx.x; e < kElements; e += kThreads) {
      if (chunk * kElements + e < n) draw(words + e * kWordsEach, chunk * kElements + e);
    }
    __syncthreads();
  }
}

template <int kWordsEach, typename Draw>
void draw(PhiloxStream stream, int64_t n, Draw each) {
  if (n == 0) return;
  launch<draw_each<kWordsEach, Draw>>(blocks_for(ceil_div<int64_t>(n, kChunkWords / kWordsEach)), dim3(kThreads), 0,
                                      current_stream(), stream, n, each);
}

__device__ uint64_t join(const uint32_t* words) { return uint64_t(words[1]) << 32 | words[0]; }

template <typename T>
constexpr int kWordsOf = sizeof(T) / 4;

// --- continuous distributions ---------------------------------------------------------------------------

// k / 2^24 or k / 2^53: in [0, 1), every value exact in T.
__device__ double unit(const uint32_t* words, float) { return double(words[0] >> 8) * 0x1p-24; }
__device__ double unit(const uint32_t* words, double) { return double(join(words) >> 11) * 0x1p-53; }

// (k + 1/2) / 2^32 or / 2^52: in (0, 1), symmetric about 1/2, exact in float64.
__device__ double open_unit(const uint32_t* words, float) { return (double(words[0]) + 0.5) * 0x1p-32; }
__device__ double open_unit(const uint32_t* words, double) { return (double(join(words) >> 12) + 0.5) * 0x1p-52; }

template <typename T>
struct Uniform {
  double low, width;
  T high, last;
  T* out;
  __device__ void operator()(const uint32_t* words, int64_t i) const {
    const T value = T(low + width * unit(words, T{}));
    out[i] = value < high ? value : last;
  }
};

template <typename T>
void uniform(PhiloxStream stream, UniformRange range, T* out, int64_t n) {
  draw<kWordsOf<T>>(stream, n, Uniform<T>{range.low, range.high - range.low, T(range.high), T(range.last), out});
}

// A polynomial by Horner's rule, its coefficients from the constant one on.
__device__ double polynomial(double r, double c0, double c1, double c2, double c3, double c4, double c5, double c6,
                             double c7) {
  return ((((((c7 * r + c6) * r + c5) * r + c4) * r + c3) * r + c2) * r + c1) * r + c0;
}

// log(x) for normal x > 0: x = m 2^e with m in [sqrt(1/2), sqrt(2)), log m = 2 atanh(s), s = (m-1)/(m+1). Only
// operations that round once: every device agrees.
__device__ double exact_log(double x) {
  int exponent;
  double m = frexp(x, &exponent);  // m in [1/2, 1)
  double e = exponent;
  if (m < 0.70710678118654752) m = m * 2.0, e = e - 1.0;
  const double s = (m - 1.0) / (m + 1.0);
  const double t = s * s;
  double series = 1.0 / 21.0;
  for (int k = 19; k >= 1; k -= 2) series = series * t + 1.0 / k;
  return e * 6.93147180369123816490e-01 + (2.0 * s * series + e * 1.90821492927058770002e-10);
}

// Inverse of the normal distribution function: Wichura, algorithm AS 241 (PPND16), Applied Statistics 37 (1988).
__device__ double inverse_normal(double p) {
  const double q = p - 0.5;
  if (fabs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q *
           polynomial(r, 3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                      1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                      3.3430575583588128105e4, 2.5090809287301226727e3) /
           polynomial(r, 1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
                      2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
                      5.2264952788528545610e3);
  }
  double r = sqrt(-exact_log(p < 0.5 ? p : 1.0 - p)), z;
  if (r <= 5.0) {
    r = r - 1.6;
    z = polynomial(r, 1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
                   3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
                   2.27238449892691845833e-2, 7.74545014278341407640e-4) /
        polynomial(r, 1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
                   1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
                   1.05075007164441684324e-9);
  } else {
    r = r - 5.0;
    z = polynomial(r, 6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
                   2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                   2.71155556874348757815e-5, 2.01033439929228813265e-7) /
        polynomial(r, 1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
                   7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
                   2.04426310338993978564e-15);
  }
  return p < 0.5 ? -z : z;
}

constexpr double kTwoSigmaBelow = 0.022750131948179207;  // Phi(-2)
constexpr double kTwoSigmaWithin = 0.9544997361036416;   // Phi(2) - Phi(-2)

template <typename T>
struct Normal {
  NormalShape shape;
  T* out;
  __device__ void operator()(const uint32_t* words, int64_t i) const {
    double p = open_unit(words, T{});
    if (shape.truncated) p = kTwoSigmaBelow + kTwoSigmaWithin * p;
    double z = inverse_normal(p);
    if (shape.truncated) z = z < -2.0 ? -2.0 : z > 2.0 ? 2.0 : z;
    out[i] = T(shape.mean + shape.stddev * z);
  }
};

template <typename T>
void normal(PhiloxStream stream, NormalShape shape, T* out, int64_t n) {
  draw<kWordsOf<T>>(stream, n, Normal<T>{shape, out});
}

template <typename T>
struct Drop {
  uint32_t threshold;
  T scale;
  const T* x;
  T* y;
  __device__ void operator()(const uint32_t* words, int64_t i) const {
    const T kept = x[i] * scale;
    y[i] = words[0] < threshold ? T(0) : kept;
  }
};

template <typename T>
void dropout(PhiloxStream stream, Dropout dropout, const T* x, T* y, int64_t n) {
  draw<1>(stream, n, Drop<T>{uint32_t(dropout.threshold), T(dropout.scale), x, y});  // rate < 1, so it fits
}

// --- discrete distributions -----------------------------------------------------------------------------

struct Bits {
  int64_t* out;
  __device__ void operator()(const uint32_t* words, int64_t i) const { out[i] = words[0]; }
};

struct Bernoulli {
  uint64_t threshold;
  uint8_t* out;
  __device__ void operator()(const uint32_t* words, int64_t i) const { out[i] = uint64_t(words[0]) < threshold; }
};

// The high half of range * k: its bias is at most range / 2^64, which no experiment sees.
struct Integers {
  int64_t low;
  uint64_t range;
  int64_t* out;
  __device__ void operator()(const uint32_t* words, int64_t i) const {
    out[i] = int64_t(uint64_t(low) + __umul64hi(join(words), range));
  }
};

struct Keys {
  KeyedIndex* out;
  __device__ void operator()(const uint32_t* words, int64_t i) const { out[i] = {join(words), i}; }
};

void bits(PhiloxStream stream, int64_t* out, int64_t n) { draw<1>(stream, n, Bits{out}); }
void bernoulli(PhiloxStream stream, uint64_t threshold, uint8_t* out, int64_t n) {
  draw<1>(stream, n, Bernoulli{threshold, out});
}
void integers(PhiloxStream stream, int64_t low, uint64_t range, int64_t* out, int64_t n) {
  draw<2>(stream, n, Integers{low, range, out});
}

__global__ void indices_of(const KeyedIndex* items, int64_t* out, int64_t n) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) out[i] = items[i].index;
}

void permutation(PhiloxStream stream, int64_t* out, int64_t n) {
  if (n == 0) return;
  const Workspace items(static_cast<std::size_t>(padded_for_sort(n)) * sizeof(KeyedIndex));
  draw<2>(stream, n, Keys{items.as<KeyedIndex>()});
  sort_keys(items.as<KeyedIndex>(), n);
  launch<indices_of>(grid_for(n), dim3(kThreads), 0, current_stream(),
                     static_cast<const KeyedIndex*>(items.as<KeyedIndex>()), out, n);
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

}  // namespace RANVIER_GPU
}  // namespace ranvier
