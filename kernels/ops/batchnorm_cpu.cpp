// Own loops. Both directions sum over a channel and then go through the map once more. Activation
// and add are fused in both; where nothing was added, backward computes what was activated again
// from x.

#include <algorithm>

#include "kernels/ops/batchnorm_passes_cpu.h"

namespace hac {
namespace {

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

// One plane of y.
template <int B, class T>
void apply(const Work& work, const BatchNormSpec& s, const Operands<T>& in, std::int64_t at,
           std::int64_t c, T* y) {
  const Normalize<B> normalize = normalize_of<B>(work, in, c);
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

// dz(at, c) makes the gradient behind activation and add as a function of (element, lane) of that
// plane, and so does again; of an element the first one's is called before the other's.
template <int B, class T, class Dz, class Again>
void backward_from(const Work& work, const BatchNormSpec& s, const Operands<T>& in, Dz dz,
                   Again again, T* dx, float* dgamma, float* dbeta) {
  const Planes& v = work.v;
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
      [&](std::int64_t first, const double* totals) {
        finish_backward<B>(work, s, in, first, totals, dgamma, dbeta);
      },
      [&](std::int64_t at, std::int64_t c) {
        write_plane<B>(v.hw, dx + at,
                       [x = in.x + at, input_gradient = input_gradient_of<B>(work, in, c),
                        gradient = again(at, c)](std::int64_t i, int lane) {
                         return input_gradient(to_float(x[i]), gradient(i, lane), lane);
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
        const Normalize<B> normalize = normalize_of<B>(work, in, c);
        return [=, x = in.x + at, dy = dy + at](std::int64_t i, int lane) {
          return activation_gradient<a.value>(normalize(to_float(x[i]), lane), to_float(dy[i]));
        };
      };
      run(dz, dz);
    });
  }
}

void statistics(Context& ctx, const BatchNormSpec& s, const void* x, void* mean, void* var,
                void* m) {
  const Work work(ctx, s);
  *as<float>(m) = static_cast<float>(work.v.n * work.v.hw);
  cpu::by_block_and_type(ctx, s, work.v, [&]<class T>(auto block, T) {
    statistics_from<block.value>(
        work, as<T>(x), as<float>(mean), as<float>(var), [](std::int64_t) {},
        [](std::int64_t, std::int64_t) {});
  });
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
    forward_from<block.value>(work, s, in, out, [&](std::int64_t at, std::int64_t c) {
      apply<block.value>(work, s, in, at, c, as<T>(y));
    });
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
              {.statistics = statistics,
               .forward_train = forward_train,
               .forward_eval = forward_eval,
               .backward = backward})

}  // namespace hac
