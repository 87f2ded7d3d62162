#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/weights.h"

namespace hac {
namespace HAC_GPU {
namespace {

// One thread an element of the packed form; reads are rs elements apart, but weights are small and
// stay in cache.
template <class From, class To>
__global__ void pack_kernel(std::int64_t elements, std::int64_t c, std::int64_t rs, bool to_krsc,
                            const From* x, To* y) {
  const std::int64_t i = global_thread();
  if (i >= elements) return;
  const std::int64_t inner = to_krsc ? c : rs, outer = to_krsc ? rs : c;
  const std::int64_t k = i / (c * rs), row = i / inner % outer, column = i % inner;
  store(y + i, from_float<To>(to_float(load(x + (k * inner + column) * outer + row))));
}

void pack(Context& ctx, const Conv2dSpec& s, const void* w, void* packed) {
  const std::int64_t n = s.weight_shape().numel();
  by_dtype(s.dtype, [&](auto t) {
    using T = decltype(t);
    launch(ctx, launch_over("pack_weights", n), pack_kernel<float, T>, n, s.c / s.groups, s.r * s.s,
           true, static_cast<const float*>(w), static_cast<T*>(packed));
  });
}

void unpack(Context& ctx, const Conv2dSpec& s, const void* packed, void* w) {
  const std::int64_t n = s.weight_shape().numel();
  by_dtype(s.dtype, [&](auto t) {
    using T = decltype(t);
    launch(ctx, launch_over("unpack_weights", n), pack_kernel<T, float>, n, s.c / s.groups,
           s.r * s.s, false, static_cast<const T*>(packed), static_cast<float*>(w));
  });
}

template <class T, int N>
__global__ void add_bias_kernel(std::int64_t vectors, std::int64_t c, const float* bias, T* y) {
  const std::int64_t i = global_thread() * N;
  if (i >= vectors * N) return;
  Floats<N> v = load_floats<N>(static_cast<const T*>(y + i));
  const Floats<N> b = load_floats<N>(bias + i % c);
  for (int j = 0; j < N; ++j) v.v[j] += b.v[j];
  store_floats<N>(y + i, v);
}

void add_bias(Context& ctx, Dtype dtype, std::int64_t rows, std::int64_t c, const void* bias,
              void* y) {
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

void bias_gradient(Context& ctx, Dtype dtype, std::int64_t rows, std::int64_t c, const void* dy,
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

const WeightKernels HAC_GPU_TABLE(weights){.pack = HAC_GPU::pack,
                                           .unpack = HAC_GPU::unpack,
                                           .add_bias = HAC_GPU::add_bias,
                                           .bias_gradient = HAC_GPU::bias_gradient};

}  // namespace hac
