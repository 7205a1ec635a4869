// Which way a product goes: vectors by dot products or sums of rows, little C and a long sum by parts of the sum,
// everything else by tiles. The shape alone decides.
#include "ops/gemm.h"

#include <math.h>

#include "cpu/gemm/dots.h"
#include "cpu/gemm/product.h"
#include "cpu/gemm/rows.h"

namespace ranvier {
namespace RANVIER_ISA {
namespace {

// --- tiles, cut into a grid of tasks -----------------------------------------------------------------

// How many threads' worth of work there is: one for each 2^19 multiply-adds (a few microseconds).
RANVIER_INLINE int64_t tasks_for(double multiply_adds) {
  constexpr double kSerial = 524288;
  const int64_t worth = multiply_adds < kSerial ? 1 : static_cast<int64_t>(multiply_adds / kSerial) + 1;
  return min_of(worth, num_threads());
}

// A grid of row_tasks x column_tasks regions; each packs its own B (rows times) and A (columns times), so
// the least is packed where regions are nearest to square.
template <typename T>
struct Grid {
  int64_t row_tasks = 1;
  int64_t column_tasks = 1;
  int64_t m, n;

  explicit Grid(const GemmArguments<T>& g) : m(g.m), n(g.n) {
    const int64_t tasks = tasks_for(double(g.m) * double(g.n) * double(g.k));
    const int64_t row_tiles = ceil_div(m, kTileRows);
    const int64_t panels = ceil_div(n, kPanel<T>);
    double best = INFINITY;
    for (int64_t rows = 1; rows <= tasks; ++rows) {
      const int64_t columns = tasks / rows;
      if (rows > row_tiles || columns > panels) continue;
      // Time of the largest region in tiles, and what packing adds to it.
      const double tiles = double(ceil_div(row_tiles, rows)) * double(ceil_div(panels, columns));
      const double cost = tiles + 0.02 * (double(row_tiles) / rows + 4 * double(panels) / columns);
      if (cost < best) {
        best = cost;
        row_tasks = rows;
        column_tasks = columns;
      }
    }
  }

  Region region(int64_t task) const {
    const int64_t i = task / column_tasks;
    const int64_t j = task % column_tasks;
    const int64_t row_unit = 4;
    const int64_t row = edge(m, row_unit, row_tasks, i);
    const int64_t column = edge(n, kPanel<T>, column_tasks, j);
    return {row, edge(m, row_unit, row_tasks, i + 1) - row, column, edge(n, kPanel<T>, column_tasks, j + 1) - column};
  }

  static int64_t edge(int64_t length, int64_t unit, int64_t pieces, int64_t i) {
    return min_of(length, ceil_div(length, unit) * i / pieces * unit);
  }
};

template <typename T>
void multiply_tiles(const GemmArguments<T>& product) {
  const Grid<T> grid(product);
  parallel(0, grid.row_tasks * grid.column_tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const Region region = grid.region(task);
      if (region.rows > 0 && region.columns > 0) RegionProduct<T>(product, region).run();
    }
  });
}

// --- the other ways -------------------------------------------------------------------------------------

// Values `step` apart, one behind the other.
template <typename T>
const T* gathered(const T* x, int64_t step, int64_t count) {
  if (step == 1) return x;
  T* copy = static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * static_cast<uint64_t>(count)));
  for (int64_t i = 0; i < count; ++i) copy[i] = x[i * step];
  return copy;
}

// Where op(A) op(B) may be written whole before it is finished: C itself, or scratch.
template <typename T>
T* room_for_sums(const GemmArguments<T>& g) {
  if (!g.accumulate && (g.ldc == g.n || g.m == 1)) return g.c;
  return static_cast<T*>(thread_scratch(kScratchB, sizeof(T) * static_cast<uint64_t>(g.m * g.n)));
}

// From op(A) op(B) to C: what is there, the bias, the activation.
template <typename T>
void finish(const GemmArguments<T>& g, const T* sums) {
  const bool linear = g.activation.kind == ActivationKind::Linear;
  if (sums == g.c && g.bias == nullptr && linear) return;
  for (int64_t i = 0; i < g.m; ++i) {
    T* c = g.c + i * g.ldc;
    for (int64_t j = 0; j < g.n; ++j) {
      T value = sums[i * g.n + j];
      if (g.accumulate) value = c[j] + value;
      c[j] = g.bias == nullptr ? value : value + g.bias[j];
    }
    if (!linear) activation_kernels.template get<T>().forward(g.activation, c, c, g.n);
  }
}

// A row or a column. The matrix is read as it is stored: along its rows.
template <typename T>
void multiply_vector(const GemmArguments<T>& g) {
  T* sums = room_for_sums(g);
  const bool row = g.m == 1;
  const bool along_k = row ? g.transpose_b : !g.transpose_a;
  const T* matrix = row ? g.b : g.a;
  const int64_t ld = row ? g.ldb : g.lda;
  const int64_t count = row ? g.n : g.m;
  const T* vector = row ? gathered(g.a, g.transpose_a ? g.lda : 1, g.k) : gathered(g.b, g.transpose_b ? 1 : g.ldb, g.k);
  if (along_k) {
    const int64_t k = g.k;
    parallel(0, count, max_of(16, ceil_div(32768, k + 1)),
             [&](int64_t begin, int64_t end) { dot_range(matrix, ld, vector, k, sums, begin, end); });
  } else {
    sum_rows<T>({matrix, ld, g.k, count, vector}, sums);
  }
  finish(g, sums);
}

// Would vectors along a few columns of C be so empty that vectors along k, and a reduction of each, are better?
template <typename T>
bool few_columns(const GemmArguments<T>& g) {
  constexpr int64_t kInL2 = 256 * 1024 / sizeof(T);
  return !g.transpose_a && g.n <= 16 && g.k >= 4 * kWidth<T> && g.n * g.k <= kInL2 &&
         4 * g.n <= 3 * ceil_div(g.n, kWidth<T>) * kWidth<T>;
}

// A few columns, or a few rows that would have a large B transposed for them.
template <typename T>
bool is_few(const GemmArguments<T>& g) {
  if (few_columns(g)) return true;
  return g.transpose_b && g.m < g.n && g.m <= 6 && g.k >= 4 * kWidth<T>;
}

template <typename T>
void multiply_few(const GemmArguments<T>& g) {
  const bool columns = few_columns(g);
  const int64_t few = columns ? g.n : g.m;
  const bool copies = columns ? !g.transpose_b : g.transpose_a;  // the few must lie along k
  const T* source = columns ? g.b : g.a;
  const int64_t ld = columns ? g.ldb : g.lda;
  const int64_t padded = ceil_div(g.k, kWidth<T>) * kWidth<T>;
  FewDots<T> dots = {columns ? g.a : g.b, columns ? g.lda : g.ldb, source, ld, few, g.k, room_for_sums(g), 1, 1};
  (columns ? dots.many_step : dots.few_step) = g.n;
  if (copies) {
    T* copy = static_cast<T*>(thread_scratch(kScratchA, sizeof(T) * static_cast<uint64_t>(few * padded)));
    pack_transposed(source, ld, few, g.k, padded, copy);
    dots.few = copy;
    dots.few_ld = padded;
  }
  const int64_t grain = max_of(8, ceil_div(131072, few * g.k));
  parallel(0, columns ? g.m : g.n, grain, [&](int64_t begin, int64_t end) { dots.run(begin, end); });
  finish(g, dots.out);
}

// Into how many parts the sum is cut where C has too few tiles to share what is worth sharing.
template <typename T>
int64_t parts_of_sum(const GemmArguments<T>& g) {
  constexpr int64_t kEnoughTiles = 32;
  constexpr double kWorthSharing = 1048576;
  if (double(g.m) * double(g.n) * double(g.k) < kWorthSharing) return 1;
  const int64_t tiles = ceil_div(g.m, kTileRows) * ceil_div(g.n, kPanel<T>);
  return min_of(kEnoughTiles / tiles, g.k / kBlockK<T>);
}

// Each part of the sum is a product of its own, the parts are added in order.
template <typename T>
void multiply_parts(const GemmArguments<T>& g, int64_t parts) {
  const int64_t size = g.m * g.n;
  T* partial = static_cast<T*>(thread_scratch(kScratchC, sizeof(T) * static_cast<uint64_t>(parts * size)));
  const EvenCut sum(g.k, parts);
  parallel(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t from = sum.start(part);
      GemmArguments<T> each = g;
      each.k = sum.start(part + 1) - from;
      each.a += g.transpose_a ? from * g.lda : from;
      each.b += g.transpose_b ? from : from * g.ldb;
      each.c = partial + part * size;
      each.ldc = g.n;
      each.accumulate = false;
      each.bias = nullptr;
      each.activation.kind = ActivationKind::Linear;
      RegionProduct<T>(each, {0, g.m, 0, g.n}).run();
    }
  });
  T* sums = room_for_sums(g);
  sum_block<T>({partial, size, parts, size, nullptr}, sums);
  finish(g, sums);
}

// The product behind matmul, dense and its gradients.
template <typename T>
void gemm(const GemmArguments<T>& product) {
  if (product.m == 0 || product.n == 0) return;
  if (product.m == 1 || (product.n == 1 && product.ldc == 1)) return multiply_vector(product);
  if (is_few(product)) return multiply_few(product);
  const int64_t parts = parts_of_sum(product);
  if (parts > 1) return multiply_parts(product, parts);
  multiply_tiles(product);
}

template <typename T>
void batched(const GemmArguments<T>& product, int64_t count, const int64_t* a_offsets, const int64_t* b_offsets,
             const int64_t* c_offsets) {
  const auto one = [&](int64_t i) {
    GemmArguments<T> each = product;
    each.a += a_offsets[i];
    each.b += b_offsets[i];
    each.c += c_offsets[i];
    gemm(each);
  };
  if (count < 2 * num_threads()) {
    for (int64_t i = 0; i < count; ++i) one(i);
    return;
  }
  const double multiply_adds = double(product.m) * double(product.n) * double(product.k);
  parallel(0, count, grain_for(static_cast<int64_t>(multiply_adds / 8)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) one(i);
  });
}

template <typename T>
void column_sums(const T* x, int64_t rows, int64_t columns, T* sums) {
  sum_rows<T>({x, columns, rows, columns, nullptr}, sums);
}

}  // namespace

extern const PerType<GemmKernels> gemm_kernels;
const PerType<GemmKernels> gemm_kernels = {
    {gemm<float>, batched<float>, column_sums<float>},
    {gemm<double>, batched<double>, column_sums<double>},
};

}  // namespace RANVIER_ISA
}  // namespace ranvier
