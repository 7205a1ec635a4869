// What memory gives to an Adam step over 10 million parameters, whatever computes it: four arrays are read and three of
// them written, 280 MB. Several loops of the same step, one after another in each of many rounds, on two threads:
//
//   g++ -O3 -march=native -pthread benchmarks/adam_streams.cpp -o /tmp/adam_streams && /tmp/adam_streams
//
// (AVX-512.) Beside them the triad, scaled to as many bytes. None is faster than the plain loop by more than a few
// percent, so none can be ahead of another library's fused step by more than that library leaves.
#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

constexpr size_t kCount = 10'000'000, kHalf = kCount / 2 / 16 * 16, kBlock = 4096, kRounds = 25;
constexpr size_t kAhead = 512;  // floats: 2 KB
float *p, *g, *m, *v;

enum class Loop { Plain, Prefetch, Streaming, Blocks, Triad };
constexpr const char* kNames[] = {"plain", "prefetch 2 KB ahead", "non-temporal stores",
                                  "blocks fetched array by array", "triad x 7/3"};

float* array() {  // on huge pages, as our allocator's
  void* memory = nullptr;
  if (posix_memalign(&memory, size_t{2} << 20, kCount * sizeof(float)) != 0) std::abort();
  madvise(memory, kCount * sizeof(float), MADV_HUGEPAGE);
  std::fill_n(static_cast<float*>(memory), kCount, 1e-3f);
  return static_cast<float*>(memory);
}

template <Loop kLoop>
void put(float* to, __m512 value) {
  kLoop == Loop::Streaming || kLoop == Loop::Triad ? _mm512_stream_ps(to, value) : _mm512_store_ps(to, value);
}

template <Loop kLoop>
void update(size_t i) {
  if (kLoop == Loop::Prefetch) {
    for (const float* a : {p, g, m, v}) _mm_prefetch(reinterpret_cast<const char*>(a + i + kAhead), _MM_HINT_T0);
  }
  const __m512 gradient = _mm512_load_ps(g + i);
  __m512 first = _mm512_load_ps(m + i), second = _mm512_load_ps(v + i);
  first += (gradient - first) * _mm512_set1_ps(0.1f);
  second += (gradient * gradient - second) * _mm512_set1_ps(0.001f);
  put<kLoop>(m + i, first);
  put<kLoop>(v + i, second);
  const __m512 change = first * _mm512_set1_ps(0.001f) / (_mm512_sqrt_ps(second) + _mm512_set1_ps(1e-7f));
  put<kLoop>(p + i, _mm512_load_ps(p + i) - change);
}

template <Loop kLoop>
void run(size_t begin, size_t end) {
  for (size_t from = begin; from < end; from += kBlock) {
    const size_t to = std::min(from + kBlock, end);
    if (kLoop == Loop::Blocks) {
      for (const float* a : {p, g, m, v}) {
        for (size_t i = to; i < std::min(to + kBlock, end); i += 16) {
          _mm_prefetch(reinterpret_cast<const char*>(a + i), _MM_HINT_T1);
        }
      }
    }
    for (size_t i = from; i < to; i += 16) {
      if (kLoop == Loop::Triad) {
        put<kLoop>(p + i, _mm512_load_ps(g + i) + _mm512_load_ps(m + i) * _mm512_set1_ps(1e-3f));
      } else {
        update<kLoop>(i);
      }
    }
  }
  _mm_sfence();
}

template <Loop kLoop>
void measure(std::vector<double>* times) {
  const auto start = std::chrono::steady_clock::now();
  std::thread other([] { run<kLoop>(kHalf, kCount); });
  run<kLoop>(0, kHalf);
  other.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  times[static_cast<int>(kLoop)].push_back(kLoop == Loop::Triad ? seconds * 7 / 3 : seconds);
}

}  // namespace

int main() {
  p = array(), g = array(), m = array(), v = array();
  std::vector<double> times[5];
  for (size_t round = 0; round < kRounds; ++round) {
    measure<Loop::Plain>(times);
    measure<Loop::Prefetch>(times);
    measure<Loop::Streaming>(times);
    measure<Loop::Blocks>(times);
    measure<Loop::Triad>(times);
  }
  for (int loop = 0; loop < 5; ++loop) {
    std::sort(times[loop].begin(), times[loop].end());
    const double median = times[loop][kRounds / 2];
    std::printf("%-30s %.2f ms  %.1f GB/s\n", kNames[loop], median * 1e3, 0.28 / median);
  }
}
