// NHWC is a (N H W, C) matrix: column sums, then one pass that applies them. Activation and
// add are fused in both directions; where nothing was added, backward computes what was activated
// again from x.
// Passes over the activations: forward 2 reads and 1 write (+ 1 read with add), backward 4 reads
// and 1 write (with add + ReLU: 5 reads, 2 writes).

#include "kernels/ops/batchnorm.h"

#include "kernels/device/columns.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

// What each channel is normalised with, f32.
struct Channels {
  const float *mean, *scale, *beta;
  // Of the N channels from c on.
  template <int N>
  __device__ Floats<N> normalized(const Floats<N>& x, std::int64_t c) const {
    const Floats<N> m = load_floats<N>(mean + c), s = load_floats<N>(scale + c),
                    b = load_floats<N>(beta + c);
    Floats<N> out;
    for (int j = 0; j < N; ++j) out.v[j] = (x.v[j] - m.v[j]) * s.v[j] + b.v[j];
    return out;
  }
};

// The gradient before the activation of z; of a ReLU, its output will do for z.
template <int N>
__device__ Floats<N> through(Activation a, const Floats<N>& z, const Floats<N>& dy) {
  Floats<N> out;
  for (int j = 0; j < N; ++j) out.v[j] = activation_gradient(a, z.v[j], dy.v[j]);
  return out;
}

// Sums about the channel's first value, which lies within its spread: one pass is as exact as two.
template <class T, int N>
struct StatisticsTerms {
  const T* x;
  __device__ Pair<N> operator()(std::int64_t i, std::int64_t channel) const {
    const Floats<N> v = load_floats<N>(x + i), shift = load_floats<N>(x + channel);
    Pair<N> out;
    for (int j = 0; j < N; ++j) {
      const float d = v.v[j] - shift.v[j];
      out.first.v[j] = d;
      out.second.v[j] = d * d;
    }
    return out;
  }
};

// count or the running statistics may be null.
template <class T>
struct StatisticsFinish {
  const T* x;
  double m;
  float *count, *mean, *var, *running_mean, *running_var;
  float momentum;
  __device__ void operator()(std::int64_t c, double sum, double square) const {
    const double offset = sum / m, variance = square / m - offset * offset;
    const float mu = static_cast<float>(to_float(load(x + c)) + offset);
    const float v = static_cast<float>(variance < 0 ? 0 : variance);  // a NaN stays one
    store(mean + c, mu);
    store(var + c, v);
    if (count && c == 0) store(count, static_cast<float>(m));
    if (!running_mean) return;
    const float unbiased = static_cast<float>(m / (m - 1));
    store(running_mean + c, (1 - momentum) * load(running_mean + c) + momentum * mu);
    store(running_var + c, (1 - momentum) * load(running_var + c) + momentum * unbiased * v);
  }
};

__global__ void scale_kernel(std::int64_t c, float eps, const float* gamma, const float* var,
                             float* scale) {
  const Offset i = own_element();
  if (i < c) store(scale + i, load(gamma + i) / sqrtf(load(var + i) + eps));
}

template <class T, int N>
__global__ void apply_kernel(Offset elements, Offset c, Channels channels, Activation activation,
                             const T* x, const T* residual, T* y) {
  const Offset i = own_element<N>();
  if (i >= elements) return;
  Floats<N> v = channels.normalized(load_floats<N>(x + i), i % c);
  if (residual) {
    const Floats<N> other = load_floats<N>(residual + i);
    for (int j = 0; j < N; ++j) v.v[j] += other.v[j];
  }
  for (int j = 0; j < N; ++j) v.v[j] = activate(activation, v.v[j]);
  store_floats<N>(y + i, v);
}

// Scratch of one call: the partial sums, then three floats a channel.
struct Work {
  Work(Context& ctx, const BatchNormSpec& s, int vector)
      : rows(s.n * s.h * s.w), cut(rows, s.c, vector) {
    partial = as<float>(ctx.scratch((cut.partial_floats(s.c) + 3 * s.c) * sizeof(float)));
    scale = partial + cut.partial_floats(s.c);
    offset = scale + s.c;
    slope = offset + s.c;
  }
  std::int64_t rows;
  ColumnCut cut;
  float *partial, *scale, *offset, *slope;
};

// Fills work.scale.
Channels channels_of(Context& ctx, const BatchNormSpec& s, const Work& work, const void* gamma,
                     const void* beta, const void* mean, const void* var) {
  launch(ctx, launch_over("batchnorm_scale", s.c), scale_kernel, s.c, s.eps, as<float>(gamma),
         as<float>(var), work.scale);
  return {as<float>(mean), work.scale, as<float>(beta)};
}

void forward_eval(Context& ctx, const BatchNormSpec& s, const void* x, const void* residual,
                  const void* gamma, const void* beta, const void* mean, const void* var, void* y) {
  by_vector(s.dtype, s.c, {x, residual, beta, mean, y}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const Work work(ctx, s, N);
    const std::int64_t elements = work.rows * s.c;
    launch(ctx, launch_over("batchnorm_apply", elements, N), apply_kernel<T, N>, elements, s.c,
           channels_of(ctx, s, work, gamma, beta, mean, var), s.activation, as<T>(x),
           as<T>(residual), as<T>(y));
  });
}

void statistics_to(Context& ctx, const BatchNormSpec& s, const void* x, void* count,
                   const BatchNormStatistics& out) {
  by_vector(s.dtype, s.c, {x}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const Work work(ctx, s, N);
    column_sums<N>(
        ctx, "batchnorm_statistics", work.rows, s.c, work.cut, work.partial,
        StatisticsTerms<T, N>{as<T>(x)},
        StatisticsFinish<T>{as<T>(x), static_cast<double>(work.rows), as<float>(count),
                            as<float>(out.mean), as<float>(out.var), as<float>(out.running_mean),
                            as<float>(out.running_var), out.momentum});
  });
}

void statistics(Context& ctx, const BatchNormSpec& s, const void* x, void* mean, void* var,
                void* m) {
  statistics_to(ctx, s, x, m, {.mean = mean, .var = var});
}

void forward_train(Context& ctx, const BatchNormSpec& s, const void* x, const void* residual,
                   const void* gamma, const void* beta, void* y, BatchNormStatistics out) {
  statistics_to(ctx, s, x, nullptr, out);
  forward_eval(ctx, s, x, residual, gamma, beta, out.mean, out.var, y);
}

// What the activation was taken of, for its gradient: computed again from x, or read off y.
enum class Activated { nothing, from_x, from_y };

template <class T, int N>
struct GradientTerms {
  const T *x, *y, *dy;
  Channels channels;
  Activated activated;
  Activation activation;
  T* dresidual;  // written when not null
  __device__ Pair<N> operator()(std::int64_t i, std::int64_t channel) const {
    const Floats<N> v = load_floats<N>(x + i);
    Floats<N> dz = load_floats<N>(dy + i);
    if (activated == Activated::from_y) dz = through(activation, load_floats<N>(y + i), dz);
    if (activated == Activated::from_x) {
      dz = through(activation, channels.normalized(v, channel), dz);
    }
    if (dresidual) store_floats<N>(dresidual + i, dz);
    const Floats<N> mean = load_floats<N>(channels.mean + channel);
    Pair<N> out;
    out.first = dz;
    for (int j = 0; j < N; ++j) out.second.v[j] = dz.v[j] * (v.v[j] - mean.v[j]);
    return out;
  }
};

// dx = scale dz - offset - slope (x - mean): the header's formula with what is constant in a
// channel taken together.
struct GradientFinish {
  double m;
  float eps;
  const float *var, *scale;
  float *dgamma, *dbeta, *offset, *slope;
  __device__ void operator()(std::int64_t c, double sum, double product) const {
    const double inverse = 1 / sqrt(static_cast<double>(load(var + c)) + eps);
    const double factor = load(scale + c);
    store(dbeta + c, static_cast<float>(sum));
    store(dgamma + c, static_cast<float>(product * inverse));
    store(offset + c, static_cast<float>(factor * sum / m));
    store(slope + c, static_cast<float>(factor * inverse * inverse * product / m));
  }
};

template <class T, int N>
__global__ void backward_apply_kernel(Offset elements, Offset c, Channels channels,
                                      Activation from_x, const float* offset, const float* slope,
                                      const T* x, const T* dz, T* dx) {
  const Offset i = own_element<N>();
  if (i >= elements) return;
  const Offset channel = i % c;
  const Floats<N> v = load_floats<N>(x + i);
  Floats<N> d = load_floats<N>(dz + i);
  if (from_x != Activation::none) d = through(from_x, channels.normalized(v, channel), d);
  const Floats<N> mean = load_floats<N>(channels.mean + channel),
                  scale = load_floats<N>(channels.scale + channel),
                  shift = load_floats<N>(offset + channel), tilt = load_floats<N>(slope + channel);
  Floats<N> out;
  for (int j = 0; j < N; ++j) {
    out.v[j] = scale.v[j] * d.v[j] - shift.v[j] - tilt.v[j] * (v.v[j] - mean.v[j]);
  }
  store_floats<N>(dx + i, out);
}

void backward(Context& ctx, const BatchNormSpec& s, const void* x, const void* y, const void* gamma,
              const void* beta, const void* mean, const void* var, const void* dy, void* dx,
              void* dgamma, void* dbeta, void* dresidual) {
  by_vector(s.dtype, s.c, {x, y, beta, mean, dy, dx, dresidual}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const Work work(ctx, s, N);
    const Channels channels = channels_of(ctx, s, work, gamma, beta, mean, var);
    const Activated activated = s.activation == Activation::none ? Activated::nothing
                                : s.add                          ? Activated::from_y
                                                                 : Activated::from_x;
    const GradientTerms<T, N> terms{as<T>(x),  as<T>(y),     as<T>(dy),       channels,
                                    activated, s.activation, as<T>(dresidual)};
    const GradientFinish finish{static_cast<double>(work.rows),
                                s.eps,
                                as<float>(var),
                                work.scale,
                                as<float>(dgamma),
                                as<float>(dbeta),
                                work.offset,
                                work.slope};
    column_sums<N>(ctx, "batchnorm_gradients", work.rows, s.c, work.cut, work.partial, terms,
                   finish);
    const std::int64_t elements = work.rows * s.c;
    const void* dz = s.add ? dresidual : dy;
    launch(ctx, launch_over("batchnorm_backward", elements, N), backward_apply_kernel<T, N>,
           elements, s.c, channels, s.add ? Activation::none : s.activation, work.offset,
           work.slope, as<T>(x), as<T>(dz), as<T>(dx));
  });
}

}  // namespace

const BatchNormKernels HAC_GPU_TABLE(batchnorm){.statistics = statistics,
                                                .forward_train = forward_train,
                                                .forward_eval = forward_eval,
                                                .backward = backward};
const BatchNormPoolKernels HAC_GPU_TABLE(batchnorm_pool){};

}  // namespace hac
