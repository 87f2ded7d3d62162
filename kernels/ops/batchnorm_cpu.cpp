// Own loops. Both directions sum over a channel and then go through the map once more. Activation
// and add are fused in both; where nothing was added, backward computes what was activated again
// from x.

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

// y = f(element, lane) over one plane. A pixel is computed before it is stored, or the compiler
// would fear that y overlaps what f reads and give up on vectors.
template <int B, class T, class F>
void write_plane(std::int64_t hw, T* y, F f) {
  for (std::int64_t i = 0; i < hw; ++i) {
    T pixel[B];
#pragma omp simd
    for (int lane = 0; lane < B; ++lane) pixel[lane] = from_float<T>(f(i * B + lane, lane));
    std::copy_n(pixel, B, y + i * B);
  }
}

double inverse_deviation(const BatchNormSpec& s, float var) {
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
void set_scale(const Work& work, const BatchNormSpec& s, const Operands<T>& in) {
#pragma omp simd
  for (std::int64_t c = 0; c < work.v.padded; ++c) {
    work.scale[c] = static_cast<float>(in.gamma[c] * inverse_deviation(s, in.var[c]));
  }
}

// One plane of y.
template <int B, class T>
void apply(const Work& work, const BatchNormSpec& s, const Operands<T>& in, std::int64_t at,
           std::int64_t c, T* y) {
  const Normalize<B> normalize{Lanes<B>(in.mean + c), Lanes<B>(work.scale + c),
                               Lanes<B>(in.beta + c)};
  const T *x = in.x + at, *residual = in.residual + at;
  by_activation(s.activation, [&](auto a) {
    if (s.add) {
      write_plane<B>(work.v.hw, y + at, [=](std::int64_t i, int lane) {
        return activate<a.value>(normalize(to_float(x[i]), lane) + to_float(residual[i]));
      });
    } else {
      write_plane<B>(work.v.hw, y + at, [=](std::int64_t i, int lane) {
        return activate<a.value>(normalize(to_float(x[i]), lane));
      });
    }
  });
}

// Sums are taken about the channel's first value, which lies within its spread, so that one pass
// loses no more digits than two.
template <int B, class T>
void forward_train(const Work& work, const BatchNormSpec& s, const Operands<T>& in, T* y,
                   const BatchNormStatistics& out) {
  const Planes& v = work.v;
  const double m = static_cast<double>(v.n * v.hw);
  const float unbiased = static_cast<float>(m / (m - 1)), momentum = out.momentum;
  float *mean = as<float>(out.mean), *var = as<float>(out.var);
  float *running_mean = as<float>(out.running_mean), *running_var = as<float>(out.running_var);
  for (std::int64_t c = 0; c < v.padded; ++c) {
    work.shift[c] = to_float(in.x[c / B * v.hw * B + c % B]);
  }
  in_two_passes<B>(
      work,
      [&](std::int64_t at, std::int64_t c, double* sums) {
        add_plane<B>(v.hw, sums,
                     [x = in.x + at, shift = Lanes<B>(work.shift + c)](auto i, int lane) {
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
          work.scale[c] = static_cast<float>(in.gamma[c] * inverse_deviation(s, var[c]));
          running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
          running_var[c] = (1 - momentum) * running_var[c] + momentum * unbiased * var[c];
        }
      },
      [&](std::int64_t at, std::int64_t c) { apply<B>(work, s, in, at, c, y); });
}

// dz(at, c) makes the gradient behind activation and add as a function of (element, lane) of that
// plane, and so does again; of an element the first one's is called before the other's.
template <int B, class T, class Dz, class Again>
void backward_from(const Work& work, const BatchNormSpec& s, const Operands<T>& in, Dz dz,
                   Again again, T* dx, float* dgamma, float* dbeta) {
  const Planes& v = work.v;
  const double m = static_cast<double>(v.n * v.hw);
  in_two_passes<B>(
      work,
      [&](std::int64_t at, std::int64_t c, double* sums) {
        add_plane<B>(v.hw, sums,
                     [x = in.x + at, mean = Lanes<B>(in.mean + c), gradient = dz(at, c)](
                         std::int64_t i, int lane) {
                       const float d = gradient(i, lane);
                       return Terms{d, d * (to_float(x[i]) - mean[lane])};
                     });
      },
      // dx = scale dz - offset - slope (x - mean) is the formula of the header with what is
      // constant in a channel taken together.
      [&](std::int64_t first, const double* totals) {
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
      },
      [&](std::int64_t at, std::int64_t c) {
        write_plane<B>(
            v.hw, dx + at,
            [x = in.x + at, mean = Lanes<B>(in.mean + c), scale = Lanes<B>(work.scale + c),
             offset = Lanes<B>(work.offset + c), slope = Lanes<B>(work.slope + c),
             gradient = again(at, c)](std::int64_t i, int lane) {
              return scale[lane] * gradient(i, lane) - offset[lane] -
                     slope[lane] * (to_float(x[i]) - mean[lane]);
            });
      });
}

template <int B, class T>
void backward(const Work& work, const BatchNormSpec& s, const Operands<T>& in, const T* y,
              const T* dy, T* dx, float* dgamma, float* dbeta, T* dresidual) {
  set_scale(work, s, in);
  const auto run = [&](auto dz, auto again) {
    backward_from<B>(work, s, in, dz, again, dx, dgamma, dbeta);
  };
  const auto given = [=](std::int64_t at, std::int64_t) {
    return [dy = dy + at](std::int64_t i, int) { return to_float(dy[i]); };
  };
  if (s.add && s.activation == Activation::relu) {
    const auto keep = [=](std::int64_t at, std::int64_t) {
      return [dy = dy + at, y = y + at, kept = dresidual + at](std::int64_t i, int) {
        const float dz = activation_gradient<Activation::relu>(to_float(y[i]), to_float(dy[i]));
        kept[i] = from_float<T>(dz);
        return dz;
      };
    };
    const auto kept = [=](std::int64_t at, std::int64_t) {
      return [kept = dresidual + at](std::int64_t i, int) { return to_float(kept[i]); };
    };
    run(keep, kept);
  } else if (s.add) {
    const auto keep = [=](std::int64_t at, std::int64_t) {
      return [dy = dy + at, kept = dresidual + at](std::int64_t i, int) {
        return to_float(kept[i] = dy[i]);
      };
    };
    run(keep, given);
  } else if (s.activation == Activation::none) {
    run(given, given);
  } else {
    by_activation(s.activation, [&](auto a) {
      // The same expression as forward, so the same mask.
      const auto dz = [&, a](std::int64_t at, std::int64_t c) {
        const Normalize<B> normalize{Lanes<B>(in.mean + c), Lanes<B>(work.scale + c),
                                     Lanes<B>(in.beta + c)};
        return [=, x = in.x + at, dy = dy + at](std::int64_t i, int lane) {
          return activation_gradient<a.value>(normalize(to_float(x[i]), lane), to_float(dy[i]));
        };
      };
      run(dz, dz);
    });
  }
}

template <class T>
Operands<T> operands(const void* x, const void* residual, const void* gamma, const void* beta,
                     const void* mean, const void* var) {
  return {as<T>(x),        as<T>(residual), as<float>(gamma),
          as<float>(beta), as<float>(mean), as<float>(var)};
}

void forward_eval(Context& ctx, const BatchNormSpec& s, const void* x, const void* residual,
                  const void* gamma, const void* beta, const void* mean, const void* var, void* y) {
  const Work work(ctx, s);
  cpu::by_block_and_type(ctx, s, work.v, [&]<class T>(auto block, T) {
    const auto in = operands<T>(x, residual, gamma, beta, mean, var);
    set_scale(work, s, in);
    const std::int64_t blocks = work.v.padded / block, planes = work.v.n * blocks;
#pragma omp parallel for schedule(static) num_threads(work.threads)
    for (std::int64_t p = 0; p < planes; ++p) {
      apply<block.value>(work, s, in, p * work.v.hw * block, p % blocks * block, as<T>(y));
    }
  });
}

void forward_train(Context& ctx, const BatchNormSpec& s, const void* x, const void* residual,
                   const void* gamma, const void* beta, void* y, BatchNormStatistics out) {
  const Work work(ctx, s);
  cpu::by_block_and_type(ctx, s, work.v, [&]<class T>(auto block, T) {
    const auto in = operands<T>(x, residual, gamma, beta, out.mean, out.var);
    forward_train<block.value>(work, s, in, as<T>(y), out);
  });
}

void backward(Context& ctx, const BatchNormSpec& s, const void* x, const void* y, const void* gamma,
              const void* beta, const void* mean, const void* var, const void* dy, void* dx,
              void* dgamma, void* dbeta, void* dresidual) {
  const Work work(ctx, s);
  cpu::by_block_and_type(ctx, s, work.v, [&]<class T>(auto block, T) {
    const auto in = operands<T>(x, nullptr, gamma, beta, mean, var);
    backward<block.value>(work, s, in, as<T>(y), as<T>(dy), as<T>(dx), as<float>(dgamma),
                          as<float>(dbeta), as<T>(dresidual));
  });
}

}  // namespace

HAC_CPU_TABLE(BatchNormKernels, batchnorm_cpu,
              {.forward_train = forward_train, .forward_eval = forward_eval, .backward = backward})

}  // namespace hac
