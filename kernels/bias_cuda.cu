#include "kernels/cuda/bias.h"
#include "kernels/cuda/columns.cuh"

namespace hac {
namespace HAC_GPU {
namespace {

template <class T, int N>
__global__ void add_bias_kernel(std::int64_t vectors, std::int64_t c, const float* bias, T* y) {
  const std::int64_t i = global_thread() * N;
  if (i >= vectors * N) return;
  Floats<N> v = load_floats<N>(static_cast<const T*>(y + i));
  const Floats<N> b = load_floats<N>(bias + i % c);
  for (int j = 0; j < N; ++j) v.v[j] += b.v[j];
  store_floats<N>(y + i, v);
}

void add(Context& ctx, Dtype dtype, std::int64_t rows, std::int64_t c, const void* bias, void* y) {
  by_vector(dtype, c, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    launch(ctx, launch_over("add_bias", rows * c / N), add_bias_kernel<T, N>, rows * c / N, c,
           static_cast<const float*>(bias), static_cast<T*>(y));
  });
}

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
  by_vector(dtype, c, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const ColumnCut cut(rows, c, N);
    float* partial = static_cast<float*>(ctx.scratch(cut.partial_floats(c) * sizeof(float)));
    column_sums<N>(ctx, "bias_gradient", rows, c, cut, partial,
                   ColumnTerms<T, N>{static_cast<const T*>(dy)},
                   ColumnFinish{static_cast<float*>(db)});
  });
}

}  // namespace
}  // namespace HAC_GPU

const BiasKernels HAC_GPU_TABLE(bias){.add = HAC_GPU::add, .gradient = HAC_GPU::gradient};

}  // namespace hac
