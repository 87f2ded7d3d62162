#include "kernels/device/columns.cuh"
#include "kernels/ops/bias_gradient.h"

namespace hac {
namespace {

using namespace HAC_GPU;

template <class T, int N>
struct ColumnTerms {
  const T* x;
  __device__ Pair<N> operator()(std::int64_t i, std::int64_t) const {
    return {load_floats<N>(x + i), {}};
  }
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
    const ColumnCut cut(rows, c, N);
    float* partial = as<float>(ctx.scratch(cut.partial_floats(c) * sizeof(float)));
    column_sums<N>(ctx, "bias_gradient", rows, c, cut, partial, ColumnTerms<T, N>{as<T>(dy)},
                   ColumnFinish{as<float>(db)});
  });
}

}  // namespace

const BiasGradientKernel HAC_GPU_TABLE(bias_gradient){.apply = gradient};

}  // namespace hac
