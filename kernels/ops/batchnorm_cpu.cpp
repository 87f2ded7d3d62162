// Own loops: sums over planes, then one pass that applies them. Activation and add are fused in
// both directions; where nothing was added, backward computes what was activated again from x.

#include <algorithm>
#include <cmath>

#include "kernels/cpu/loop.h"
#include "kernels/ops/batchnorm.h"

namespace hac {
namespace {

using cpu::Planes;

bool parallel(const Planes& v) { return v.n * v.padded * v.hw > cpu::serial_elements; }

struct Terms {
  float first, second;
};

// Adds the terms f(element, lane) of one plane of B channels to a and b. Floats over a few pixels,
// doubles over the plane.
template <int B, class F>
void add_plane(std::int64_t hw, double* a, double* b, F f) {
  constexpr std::int64_t few = 64;
  for (std::int64_t begin = 0; begin < hw; begin += few) {
    float first[B] = {}, second[B] = {};
    for (std::int64_t i = begin; i < std::min(begin + few, hw); ++i) {
#pragma omp simd
      for (int lane = 0; lane < B; ++lane) {
        const auto [left, right] = f(i * B + lane, lane);
        first[lane] += left;
        second[lane] += right;
      }
    }
    for (int lane = 0; lane < B; ++lane) {
      a[lane] += first[lane];
      b[lane] += second[lane];
    }
  }
}

// What the passes share: the sums of every thread, and a few floats a channel.
struct Work {
  Work(Context& ctx, const Planes& v)
      : threads(parallel(v) ? num_threads() : 1), width(2 * v.padded) {
    const std::int64_t sums = threads * width * sizeof(double);
    partial = as<double>(ctx.scratch(sums + 3 * v.padded * sizeof(float)));
    scale = reinterpret_cast<float*>(partial + threads * width);
    offset = scale + v.padded;
    slope = offset + v.padded;
  }

  int threads;
  std::int64_t width;
  double* partial;  // (threads, 2, padded); after sum_planes the first row holds the totals
  float *scale, *offset, *slope;
};

// Sums two quantities a channel over all images; plane(offset, channel) gives the f of add_plane.
// Each thread sums its own planes, so the result depends on the number of threads alone.
template <int B, class Plane>
void sum_planes(const Work& work, const Planes& v, Plane plane) {
  const std::int64_t blocks = v.padded / B, planes = v.n * blocks;
#pragma omp parallel for schedule(static) num_threads(work.threads)
  for (int t = 0; t < work.threads; ++t) {
    double* mine = work.partial + t * work.width;
    std::fill(mine, mine + work.width, 0.0);
    for (std::int64_t p = planes * t / work.threads; p < planes * (t + 1) / work.threads; ++p) {
      const std::int64_t c = p % blocks * B;
      add_plane<B>(v.hw, mine + c, mine + v.padded + c, plane(p * v.hw * B, c));
    }
  }
  for (std::int64_t i = work.width; i < work.threads * work.width; ++i) {
    work.partial[i % work.width] += work.partial[i];
  }
}

// y = f(element, channel) for every element. A pixel is computed before it is stored, or the
// compiler would fear that y overlaps what f reads and give up on vectors.
template <int B, class F>
void for_each(const Work& work, const Planes& v, float* y, F f) {
  const std::int64_t blocks = v.padded / B, planes = v.n * blocks;
#pragma omp parallel for schedule(static) num_threads(work.threads)
  for (std::int64_t p = 0; p < planes; ++p) {
    const std::int64_t at = p * v.hw * B, c = p % blocks * B;
    for (std::int64_t i = 0; i < v.hw; ++i) {
      float pixel[B];
#pragma omp simd
      for (int lane = 0; lane < B; ++lane) pixel[lane] = f(at + i * B + lane, c + lane);
      std::copy_n(pixel, B, y + at + i * B);
    }
  }
}

// Mean and biased variance. Sums are taken about the channel's first value, which lies within its
// spread, so that one pass loses no more digits than two.
template <int B>
void statistics(const Work& work, const Planes& v, const float* x, const BatchNormStatistics& out) {
  float *mean = as<float>(out.mean), *var = as<float>(out.var);
  float *running_mean = as<float>(out.running_mean), *running_var = as<float>(out.running_var);
  const float momentum = out.momentum;
  const auto first = [=](std::int64_t c) { return x + c / B * v.hw * B + c % B; };
  sum_planes<B>(work, v, [&](std::int64_t at, std::int64_t channel) {
    return [at, x, shift = first(channel)](std::int64_t i, int lane) {
      const float d = x[at + i] - shift[lane];
      return Terms{d, d * d};
    };
  });
  const double m = static_cast<double>(v.n * v.hw);
  const float unbiased = static_cast<float>(m / (m - 1));
  for (std::int64_t c = 0; c < v.padded; ++c) {
    const double offset = work.partial[c] / m;
    const double variance = work.partial[v.padded + c] / m - offset * offset;
    mean[c] = static_cast<float>(*first(c) + offset);
    var[c] = static_cast<float>(variance < 0 ? 0 : variance);  // a NaN stays one
    running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
    running_var[c] = (1 - momentum) * running_var[c] + momentum * unbiased * var[c];
  }
}

// One call's operands; those that a pass does not have are null.
struct Operands {
  const float *x, *residual, *gamma, *beta, *mean, *var;
};

double inverse_deviation(const BatchNormSpec& s, float var) {
  return 1 / std::sqrt(static_cast<double>(var) + s.eps);
}

// gamma (x - mean) / sqrt(var + eps) + beta of (element, channel). Taking the mean off first keeps
// the digits of an x far from zero.
auto normalized(const Work& work, const BatchNormSpec& s, const Planes& v, const Operands& in) {
  for (std::int64_t c = 0; c < v.padded; ++c) {
    work.scale[c] = static_cast<float>(in.gamma[c] * inverse_deviation(s, in.var[c]));
  }
  return [x = in.x, mean = in.mean, scale = work.scale, beta = in.beta](
             std::int64_t i, std::int64_t c) { return (x[i] - mean[c]) * scale[c] + beta[c]; };
}

template <int B>
void apply(const Work& work, const BatchNormSpec& s, const Planes& v, const Operands& in,
           float* y) {
  const auto write = [&](auto value) {
    by_activation(s.activation, [&](auto a) {
      for_each<B>(work, v, y, [=](auto i, auto c) { return activate<a.value>(value(i, c)); });
    });
  };
  const auto value = normalized(work, s, v, in);
  if (s.add) {
    write([=, residual = in.residual](auto i, auto c) { return value(i, c) + residual[i]; });
  } else {
    write(value);
  }
}

// `dz` is the gradient behind ReLU and add as a function of (element, channel), called once for
// each element before `dz_again` is.
template <int B, class Dz, class Again>
void backward_from(const Work& work, const BatchNormSpec& s, const Planes& v, const Operands& in,
                   Dz dz, Again dz_again, float* dx, float* dgamma, float* dbeta) {
  const float *x = in.x, *mean = in.mean;
  sum_planes<B>(work, v, [=](std::int64_t at, std::int64_t channel) {
    return [=](std::int64_t i, int lane) {
      const float d = dz(at + i, channel + lane);
      return Terms{d, d * (x[at + i] - mean[channel + lane])};
    };
  });
  // dx = scale dz - offset - slope (x - mean) is the formula of the header with what is constant in
  // a channel taken together.
  const double m = static_cast<double>(v.n * v.hw);
  const float *scale = work.scale, *offset = work.offset, *slope = work.slope;
  for (std::int64_t c = 0; c < v.padded; ++c) {
    const double inverse = inverse_deviation(s, in.var[c]);
    const double sum = work.partial[c], product = work.partial[v.padded + c] * inverse;
    dbeta[c] = static_cast<float>(sum);
    dgamma[c] = static_cast<float>(product);
    work.scale[c] = static_cast<float>(in.gamma[c] * inverse);
    work.offset[c] = static_cast<float>(in.gamma[c] * inverse * sum / m);
    work.slope[c] = static_cast<float>(in.gamma[c] * inverse * inverse * product / m);
  }
  for_each<B>(work, v, dx, [=](std::int64_t i, std::int64_t c) {
    return scale[c] * dz_again(i, c) - offset[c] - slope[c] * (x[i] - mean[c]);
  });
}

template <int B>
void backward(const Work& work, const BatchNormSpec& s, const Planes& v, const Operands& in,
              const float* y, const float* dy, float* dx, float* dgamma, float* dbeta,
              float* dresidual) {
  const auto run = [&](auto dz, auto dz_again) {
    backward_from<B>(work, s, v, in, dz, dz_again, dx, dgamma, dbeta);
  };
  const auto given = [=](auto i, auto) { return dy[i]; };
  if (s.add) {
    const auto stored = [=](auto i, auto) { return dresidual[i]; };
    if (s.activation == Activation::relu) {
      const auto kept = [=](auto i) { return activation_gradient<Activation::relu>(y[i], dy[i]); };
      run([=](auto i, auto) { return dresidual[i] = kept(i); }, stored);
    } else {
      run([=](auto i, auto) { return dresidual[i] = dy[i]; }, given);
    }
  } else if (s.activation == Activation::none) {
    run(given, given);
  } else {
    // The same expression as forward, so the same mask.
    const auto value = normalized(work, s, v, in);
    by_activation(s.activation, [&](auto a) {
      const auto dz = [=](auto i, auto c) {
        return activation_gradient<a.value>(value(i, c), dy[i]);
      };
      run(dz, dz);
    });
  }
}

void forward_eval(Context& ctx, const BatchNormSpec& s, const void* x, const void* residual,
                  const void* gamma, const void* beta, const void* mean, const void* var, void* y) {
  cpu::require_f32(ctx, s);
  const Planes v(layout_of(ctx.device(), s.shape()), s.shape());
  const Work work(ctx, v);
  const Operands in{as<float>(x),    as<float>(residual), as<float>(gamma),
                    as<float>(beta), as<float>(mean),     as<float>(var)};
  cpu::by_block(v, [&](auto block) { apply<block.value>(work, s, v, in, as<float>(y)); });
}

void forward_train(Context& ctx, const BatchNormSpec& s, const void* x, const void* residual,
                   const void* gamma, const void* beta, void* y, BatchNormStatistics out) {
  cpu::require_f32(ctx, s);
  const Planes v(layout_of(ctx.device(), s.shape()), s.shape());
  const Work work(ctx, v);
  cpu::by_block(v, [&](auto block) { statistics<block.value>(work, v, as<float>(x), out); });
  forward_eval(ctx, s, x, residual, gamma, beta, out.mean, out.var, y);
}

void backward(Context& ctx, const BatchNormSpec& s, const void* x, const void* y, const void* gamma,
              const void* beta, const void* mean, const void* var, const void* dy, void* dx,
              void* dgamma, void* dbeta, void* dresidual) {
  cpu::require_f32(ctx, s);
  const Planes v(layout_of(ctx.device(), s.shape()), s.shape());
  const Work work(ctx, v);
  const Operands in{as<float>(x),    nullptr,         as<float>(gamma),
                    as<float>(beta), as<float>(mean), as<float>(var)};
  cpu::by_block(v, [&](auto block) {
    backward<block.value>(work, s, v, in, as<float>(y), as<float>(dy), as<float>(dx),
                          as<float>(dgamma), as<float>(dbeta), as<float>(dresidual));
  });
}

}  // namespace

HAC_CPU_TABLE(BatchNormKernels, batchnorm_cpu,
              {.forward_train = forward_train, .forward_eval = forward_eval, .backward = backward})

}  // namespace hac
