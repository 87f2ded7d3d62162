#include "kernels/device/columns.cuh"
#include "kernels/ops/bias_gradient.h"

namespace hac {
namespace {

using namespace HAC_GPU;

template <class T, int N>
struct ColumnTerms {
  static constexpr int together = 4, blocks = 4;
  const T* x;
  std::int64_t c;

  struct Column {
    const T* x;
    std::int64_t c;
    __device__ Packed<T, N> load(std::int64_t row) const { return load_packed<N>(x + row * c); }
    __device__ void add(std::int64_t, const Packed<T, N>& in, float (&sums)[2 * N]) const {
      const Floats<N> v = floats(in);
      HAC_UNROLL
      for (int j = 0; j < N; ++j) sums[j] += v.v[j];
    }
  };
  __device__ Column column(std::int64_t channel) const { return {x + channel, c}; }
};

struct ColumnFinish {
  float* sums;
  __device__ void operator()(std::int64_t c, double sum, double) const {
    store(sums + c, static_cast<float>(sum));
  }
};

void gradient(Context& ctx, Dtype dtype, std::int64_t rows, std::int64_t c, const void* dy,
              void* db) {
  by_vector(dtype, c, {dy}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    using Terms = ColumnTerms<T, N>;
    const ColumnCut cut = ColumnCut::to_sum(rows, c, N, Terms::blocks);
    column_sums<N>(ctx, "bias_gradient", cut,
                   as<float>(ctx.scratch(cut.partial_floats() * sizeof(float))),
                   Terms{as<T>(dy), c}, ColumnFinish{as<float>(db)});
  });
}

}  // namespace

const BiasGradientKernel HAC_GPU_TABLE(bias_gradient){.apply = gradient};

}  // namespace hac
