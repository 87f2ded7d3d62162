#pragma once
// What the batch norms of the CPU share: the two passes over a map, the statistics and the
// gradients' sums. For .cpp files that end in HAC_CPU_TABLE.

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "kernels/core/half.h"
#include "kernels/cpu/loop.h"
#include "kernels/ops/batchnorm.h"

namespace hac {
namespace {

using cpu::Planes;

// What the passes share: the sums of every thread, and a few floats a channel.
struct Work {
  Work(Context& ctx, const BatchNormSpec& s) : v(layout_of(ctx.device(), s.shape()), s.shape()) {
    if (v.n * v.padded * v.hw > cpu::serial_elements) threads = num_threads();
    const std::int64_t sums = threads * 2 * v.padded * sizeof(double);
    partial = as<double>(ctx.scratch(sums + 4 * v.padded * sizeof(float)));
    scale = reinterpret_cast<float*>(partial + threads * 2 * v.padded);
    offset = scale + v.padded;
    slope = offset + v.padded;
    shift = slope + v.padded;
  }

  // A thread's two sums of channel c and its block.
  double* sums(int thread, std::int64_t c) const {
    return partial + thread * 2 * v.padded + c / v.block * 2 * v.block + c % v.block;
  }

  Planes v;
  int threads = 1;
  double* partial;  // (threads, blocks, 2, block)
  float *scale, *offset, *slope, *shift;
};

// sum(at, c, sums) for every plane of B channels, which begins at element `at` and channel c; then,
// once for every block, finish(c, totals) with the sums of all threads, which depend on the number
// of threads alone; then write(at, c) for every plane. A thread writes the planes that it has
// summed.
template <int B, class Sum, class Finish, class Write>
void in_two_passes(const Work& work, Sum sum, Finish finish, Write write) {
  const std::int64_t blocks = work.v.padded / B, planes = work.v.n * blocks, size = work.v.hw * B;
#pragma omp parallel num_threads(work.threads)
  {
    const int t = omp_get_thread_num(), threads = omp_get_num_threads();
    const std::int64_t begin = planes * t / threads, end = planes * (t + 1) / threads;
    std::fill_n(work.sums(t, 0), 2 * work.v.padded, 0.0);
    for (std::int64_t p = begin; p < end; ++p) {
      sum(p * size, p % blocks * B, work.sums(t, p % blocks * B));
    }
#pragma omp barrier
#pragma omp for schedule(static)
    for (std::int64_t block = 0; block < blocks; ++block) {
      double totals[2 * B] = {};
      for (int other = 0; other < threads; ++other) {
        for (int i = 0; i < 2 * B; ++i) totals[i] += work.sums(other, block * B)[i];
      }
      finish(block * B, totals);
    }
    for (std::int64_t p = begin; p < end; ++p) write(p * size, p % blocks * B);
  }
}

struct Terms {
  float first, second;
};

// Adds the terms f(element, lane) of one plane to its 2 B sums. Floats over a few pixels, in chains
// that do not wait for each other, doubles over the plane.
template <int B, class F>
void add_plane(std::int64_t hw, double* sums, F f) {
  constexpr std::int64_t few = 64, chains = 4;
  for (std::int64_t begin = 0; begin < hw; begin += few) {
    const std::int64_t end = std::min(begin + few, hw);
    float terms[chains][2][B] = {};
    const auto add = [&](std::int64_t i, float(&to)[2][B]) {
#pragma omp simd
      for (int lane = 0; lane < B; ++lane) {
        const auto [first, second] = f(i * B + lane, lane);
        to[0][lane] += first;
        to[1][lane] += second;
      }
    };
    std::int64_t i = begin;
    for (; i + chains <= end; i += chains) {
      add(i, terms[0]);
      add(i + 1, terms[1]);
      add(i + 2, terms[2]);
      add(i + 3, terms[3]);
    }
    for (; i < end; ++i) add(i, terms[0]);
    for (int which = 0; which < 2; ++which) {
#pragma omp simd
      for (int lane = 0; lane < B; ++lane) {
        sums[which * B + lane] += (terms[0][which][lane] + terms[1][which][lane]) +
                                  (terms[2][which][lane] + terms[3][which][lane]);
      }
    }
  }
}

inline double inverse_deviation(const BatchNormSpec& s, float var) {
  return 1 / std::sqrt(static_cast<double>(var) + s.eps);
}

// A block's own copy of some floats a channel, which stays in registers: copied by the loop and not
// by memcpy, whose halves of a register the next load would wait for.
template <int B>
struct Lanes {
  explicit Lanes(const float* from) {
#pragma omp simd
    for (int lane = 0; lane < B; ++lane) values[lane] = from[lane];
  }
  Lanes(const Lanes& other) : Lanes(other.values) {}
  float operator[](int lane) const { return values[lane]; }
  float values[B];
};

// gamma (x - mean) / sqrt(var + eps) + beta of a block. Taking the mean off first keeps the digits
// of an x far from zero.
template <int B>
struct Normalize {
  Lanes<B> mean, scale, beta;
  float operator()(float x, int lane) const { return (x - mean[lane]) * scale[lane] + beta[lane]; }
};

// One call's operands; those that a pass does not have are null.
template <class T>
struct Operands {
  const T *x, *residual;
  const float *gamma, *beta, *mean, *var;
};

template <class T>
Operands<T> operands(const void* x, const void* residual, const void* gamma, const void* beta,
                     const void* mean, const void* var) {
  return {as<T>(x),        as<T>(residual), as<float>(gamma),
          as<float>(beta), as<float>(mean), as<float>(var)};
}

template <class T>
void set_scale(const Work& work, const BatchNormSpec& s, const Operands<T>& in) {
#pragma omp simd
  for (std::int64_t c = 0; c < work.v.padded; ++c) {
    work.scale[c] = static_cast<float>(in.gamma[c] * inverse_deviation(s, in.var[c]));
  }
}

template <int B, class T>
Normalize<B> normalize_of(const Work& work, const Operands<T>& in, std::int64_t c) {
  return {Lanes<B>(in.mean + c), Lanes<B>(work.scale + c), Lanes<B>(in.beta + c)};
}

// The batch's statistics and then(c) for every channel, then write(at, c) for every plane, as
// in_two_passes calls it. Sums are taken about the channel's first value, which lies within its
// spread, so that one pass loses no more digits than two.
template <int B, class T, class Then, class Write>
void statistics_from(const Work& work, const T* values, float* mean, float* var, Then then,
                     Write write) {
  const Planes& v = work.v;
  const double m = static_cast<double>(v.n * v.hw);
  for (std::int64_t c = 0; c < v.padded; ++c) {
    work.shift[c] = to_float(values[c / B * v.hw * B + c % B]);
  }
  in_two_passes<B>(
      work,
      [&](std::int64_t at, std::int64_t c, double* sums) {
        add_plane<B>(v.hw, sums,
                     [x = values + at, shift = Lanes<B>(work.shift + c)](auto i, int lane) {
                       const float d = to_float(x[i]) - shift[lane];
                       return Terms{d, d * d};
                     });
      },
      [&](std::int64_t first, const double* totals) {
#pragma omp simd
        for (int lane = 0; lane < B; ++lane) {
          const std::int64_t c = first + lane;
          const double offset = totals[lane] / m, variance = totals[B + lane] / m - offset * offset;
          mean[c] = static_cast<float>(work.shift[c] + offset);
          var[c] = static_cast<float>(variance < 0 ? 0 : variance);  // a NaN stays one
          then(c);
        }
      },
      write);
}

// The batch's statistics and the running ones, then write(at, c) for every plane of y.
template <int B, class T, class Write>
void forward_from(const Work& work, const BatchNormSpec& s, const Operands<T>& in,
                  const BatchNormStatistics& out, Write write) {
  const double m = static_cast<double>(work.v.n * work.v.hw);
  const float unbiased = static_cast<float>(m / (m - 1)), momentum = out.momentum;
  float *mean = as<float>(out.mean), *var = as<float>(out.var);
  float *running_mean = as<float>(out.running_mean), *running_var = as<float>(out.running_var);
  statistics_from<B>(
      work, in.x, mean, var,
      [=, &work, &s, &in](std::int64_t c) {
        work.scale[c] = static_cast<float>(in.gamma[c] * inverse_deviation(s, var[c]));
        running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
        running_var[c] = (1 - momentum) * running_var[c] + momentum * unbiased * var[c];
      },
      write);
}

// What follows from the sums of dz and dz (x - mean) over a block's channels.
template <int B, class T>
void finish_backward(const Work& work, const BatchNormSpec& s, const Operands<T>& in,
                     std::int64_t first, const double* totals, float* dgamma, float* dbeta) {
  const double m = static_cast<double>(work.v.n * work.v.hw);
#pragma omp simd
  for (int lane = 0; lane < B; ++lane) {
    const std::int64_t c = first + lane;
    const double inverse = inverse_deviation(s, in.var[c]);
    const double sum = totals[lane], product = totals[B + lane] * inverse;
    dbeta[c] = static_cast<float>(sum);
    dgamma[c] = static_cast<float>(product);
    work.offset[c] = static_cast<float>(in.gamma[c] * inverse * sum / m);
    work.slope[c] = static_cast<float>(in.gamma[c] * inverse * inverse * product / m);
  }
}

// dx = scale dz - offset - slope (x - mean) is the formula of the header with what is constant in a
// channel taken together.
template <int B>
struct InputGradient {
  Lanes<B> mean, scale, offset, slope;
  float operator()(float x, float dz, int lane) const {
    return scale[lane] * dz - offset[lane] - slope[lane] * (x - mean[lane]);
  }
};

template <int B, class T>
InputGradient<B> input_gradient_of(const Work& work, const Operands<T>& in, std::int64_t c) {
  return {Lanes<B>(in.mean + c), Lanes<B>(work.scale + c), Lanes<B>(work.offset + c),
          Lanes<B>(work.slope + c)};
}

}  // namespace
}  // namespace hac
