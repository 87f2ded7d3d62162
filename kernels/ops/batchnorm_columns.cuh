#pragma once
// What batch norm's passes over a (N H W, C) matrix share, with and without a max pool behind.

#include "kernels/device/columns.cuh"
#include "kernels/ops/batchnorm.h"

namespace hac::HAC_GPU {

// What N channels of a thread are normalised with.
template <int N>
struct Norm {
  Floats<N> mean, scale, beta;
  __device__ Floats<N> operator()(const Floats<N>& x) const {
    Floats<N> z;
    HAC_UNROLL
    for (int j = 0; j < N; ++j) z.v[j] = (x.v[j] - mean.v[j]) * scale.v[j] + beta.v[j];
    return z;
  }
};

// Operands of all channels, f32.
struct Channels {
  const float *gamma, *beta, *mean, *var;
  float eps;

  __device__ float scale(std::int64_t c) const {
    return load(gamma + c) / sqrtf(load(var + c) + eps);
  }
  template <int N>
  __device__ Norm<N> norm(std::int64_t c) const {
    Norm<N> out{load_floats<N>(mean + c), load_floats<N>(gamma + c), load_floats<N>(beta + c)};
    const Floats<N> v = load_floats<N>(var + c);
    HAC_UNROLL
    for (int j = 0; j < N; ++j) out.scale.v[j] /= sqrtf(v.v[j] + eps);
    return out;
  }
};

// What backward subtracts from N channels of scale * dz: offset + slope (x - mean).
template <int N>
struct Slope {
  Floats<N> offset, slope;
  __device__ Floats<N> dx(const Norm<N>& norm, const Floats<N>& x, const Floats<N>& dz) const {
    Floats<N> out;
    HAC_UNROLL
    for (int j = 0; j < N; ++j) {
      out.v[j] = norm.scale.v[j] * dz.v[j] - offset.v[j] - slope.v[j] * (x.v[j] - norm.mean.v[j]);
    }
    return out;
  }
};

// dx = scale dz - offset - slope (x - mean): batchnorm.h's formula with what is constant in a
// channel taken together.
struct GradientFinish {
  double m;
  Channels channels;
  float *dgamma, *dbeta, *offset = nullptr, *slope = nullptr;
  __device__ void operator()(std::int64_t c, double sum, double product) const {
    const double inverse = 1 / sqrt(static_cast<double>(load(channels.var + c)) + channels.eps);
    const double factor = channels.scale(c);
    store(dbeta + c, static_cast<float>(sum));
    store(dgamma + c, static_cast<float>(product * inverse));
    store(offset + c, static_cast<float>(factor * sum / m));
    store(slope + c, static_cast<float>(factor * inverse * inverse * product / m));
  }
};

// The choice stands outside of the loops, which unrolled keep their numbers in registers.
template <int N>
__device__ Floats<N> activated(Activation a, const Floats<N>& z) {
  Floats<N> y;
  by_activation(a, [&](auto chosen) {
    HAC_UNROLL
    for (int j = 0; j < N; ++j) y.v[j] = activate<decltype(chosen)::value>(z.v[j]);
  });
  return y;
}

// The gradient before the activation of z; of a ReLU, its output will do for z.
template <int N>
__device__ Floats<N> through(Activation a, const Floats<N>& z, const Floats<N>& dy) {
  Floats<N> dz;
  by_activation(a, [&](auto chosen) {
    HAC_UNROLL
    for (int j = 0; j < N; ++j) {
      dz.v[j] = activation_gradient<decltype(chosen)::value>(z.v[j], dy.v[j]);
    }
  });
  return dz;
}

template <int N>
__device__ Floats<N> plus(const Floats<N>& a, const Floats<N>& b) {
  Floats<N> sum;
  HAC_UNROLL
  for (int j = 0; j < N; ++j) sum.v[j] = a.v[j] + b.v[j];
  return sum;
}

// Adds dz and dz (x - mean) to the sums of the gradients.
template <int N>
__device__ void add_gradients(const Norm<N>& norm, const Floats<N>& x, const Floats<N>& dz,
                              float (&sums)[2 * N]) {
  HAC_UNROLL
  for (int j = 0; j < N; ++j) {
    sums[j] += dz.v[j];
    sums[N + j] += dz.v[j] * (x.v[j] - norm.mean.v[j]);
  }
}

// Scratch of a backward pass: partial sums, then offset and slope.
struct GradientScratch {
  GradientScratch(Context& ctx, const ColumnCut& cut) {
    const std::int64_t partials = round_up(cut.partial_floats(), 4);
    const std::int64_t channels = round_up(cut.c, 4);
    partial = as<float>(ctx.scratch((partials + 2 * channels) * sizeof(float)));
    offset = partial + partials;
    slope = offset + channels;
  }
  float *partial, *offset, *slope;
};

// The first pass of forward: mean, variance, running statistics (batchnorm_cuda.cu).
void batchnorm_statistics(Context& ctx, const BatchNormSpec& s, const void* x, void* count,
                          const BatchNormStatistics& out);

}  // namespace hac::HAC_GPU
