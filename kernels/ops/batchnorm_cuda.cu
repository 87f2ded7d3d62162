// NHWC is a (N H W, C) matrix: column sums, then one pass that applies them. Activation and add are
// fused in both directions; where nothing was added, backward computes what was activated again
// from x. A launch for each pass.
// Passes over the activations: forward 2 reads and 1 write (+ 1 read with add), backward 4 reads
// and 1 write (with add + ReLU: 5 reads, 2 writes). A second gradient of y is 1 read more, without
// add 1 write too; a gradient of x that is there already 1 read.

#include "kernels/ops/batchnorm_columns.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

// Sums about the channel's first value, which lies within its spread: one pass is as exact as two.
template <class T, int N>
struct StatisticsTerms {
  static constexpr int together = 4, blocks = 3;
  const T* x;
  std::int64_t c;

  struct Column {
    const T* x;
    std::int64_t c;
    Floats<N> shift;
    __device__ Packed<T, N> load(std::int64_t row) const { return load_packed<N>(x + row * c); }
    __device__ void add(std::int64_t, const Packed<T, N>& in, float (&sums)[2 * N]) const {
      const Floats<N> v = floats(in);
      HAC_UNROLL
      for (int j = 0; j < N; ++j) {
        const float d = v.v[j] - shift.v[j];
        sums[j] += d;
        sums[N + j] += d * d;
      }
    }
  };
  __device__ Column column(std::int64_t channel) const {
    return {x + channel, c, load_floats<N>(x + channel)};
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

template <class T, int N, bool adds>
struct ForwardPass {
  static constexpr int together = 2, blocks = 4;
  Channels channels;
  Activation activation;
  std::int64_t c;
  const T *x, *residual;
  T* y;

  struct Loaded {
    Packed<T, N> x, residual;
  };
  struct Column {
    ForwardPass pass;
    std::int64_t channel;
    Norm<N> norm;
    __device__ Loaded load(std::int64_t row) const {
      const std::int64_t i = row * pass.c + channel;
      Loaded in;
      in.x = load_packed<N>(pass.x + i);
      if constexpr (adds) in.residual = load_packed<N>(pass.residual + i);
      return in;
    }
    __device__ void use(std::int64_t row, const Loaded& in) const {
      Floats<N> v = norm(floats(in.x));
      if constexpr (adds) {
        const Floats<N> other = floats(in.residual);
        HAC_UNROLL
        for (int j = 0; j < N; ++j) v.v[j] += other.v[j];
      }
      store_floats<N>(pass.y + row * pass.c + channel, activated(pass.activation, v));
    }
  };
  __device__ Column column(std::int64_t channel) const {
    return {*this, channel, channels.norm<N>(channel)};
  }
};

void forward_eval(Context& ctx, const BatchNormSpec& s, const void* x, const void* residual,
                  const void* gamma, const void* beta, const void* mean, const void* var, void* y) {
  require_offsets("batchnorm", s.shape().numel());
  const Channels channels{as<float>(gamma), as<float>(beta), as<float>(mean), as<float>(var),
                          s.eps};
  by_vector(s.dtype, s.c, {x, residual, gamma, beta, mean, var, y}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const auto walk = [&](auto adds) {
      column_walk<N>(ctx, "batchnorm_apply", s.n * s.h * s.w, s.c,
                     ForwardPass<T, N, adds.value>{channels, s.activation, s.c, as<T>(x),
                                                   as<T>(residual), as<T>(y)});
    };
    residual ? walk(std::true_type()) : walk(std::false_type());
  });
}

void statistics(Context& ctx, const BatchNormSpec& s, const void* x, void* mean, void* var,
                void* m) {
  batchnorm_statistics(ctx, s, x, m, {.mean = mean, .var = var});
}

void forward_train(Context& ctx, const BatchNormSpec& s, const void* x, const void* residual,
                   const void* gamma, const void* beta, void* y, BatchNormStatistics out) {
  batchnorm_statistics(ctx, s, x, nullptr, out);
  forward_eval(ctx, s, x, residual, gamma, beta, out.mean, out.var, y);
}

// What the activation was taken of, for its gradient: computed again from x, or read off y, which
// stands behind an add. Behind an add, or where two gradients of y meet, the first pass keeps dz,
// in dresidual or else in dx, where the second finds it.
enum class Activated { nothing, from_x, from_y };

template <class T>
struct BackwardOperands {
  Channels channels;
  Activation activation;
  std::int64_t c;
  const T *x, *y, *dy, *dy2, *addend;
  T *dz, *dx;  // dz: where it would be kept
};

template <class T, int N, bool keeps, Activated activated, bool two>
struct GradientTerms {
  static constexpr int together = 2, blocks = 2;
  BackwardOperands<T> of;

  struct Loaded {
    Packed<T, N> x, y, dy, dy2;
  };
  struct Column {
    BackwardOperands<T> of;
    std::int64_t channel;
    Norm<N> norm;
    __device__ Loaded load(std::int64_t row) const {
      const std::int64_t i = row * of.c + channel;
      Loaded in;
      in.x = load_packed<N>(of.x + i);
      in.dy = load_packed<N>(of.dy + i);
      if constexpr (two) in.dy2 = load_packed<N>(of.dy2 + i);
      if constexpr (activated == Activated::from_y) in.y = load_packed<N>(of.y + i);
      return in;
    }
    __device__ void add(std::int64_t row, const Loaded& in, float (&sums)[2 * N]) const {
      const Floats<N> x = floats(in.x);
      Floats<N> dz = floats(in.dy);
      if constexpr (two) dz = plus(dz, floats(in.dy2));
      if constexpr (activated == Activated::from_y) dz = through(of.activation, floats(in.y), dz);
      if constexpr (activated == Activated::from_x) dz = through(of.activation, norm(x), dz);
      if constexpr (keeps) store_floats<N>(of.dz + row * of.c + channel, dz);
      add_gradients<N>(norm, x, dz, sums);
    }
  };
  __device__ Column column(std::int64_t channel) const {
    return {of, channel, of.channels.template norm<N>(channel)};
  }
};

template <class T, int N, bool from_x, bool adds>
struct BackwardPass {
  static constexpr int together = 2, blocks = 2;
  BackwardOperands<T> of;
  const T* dz;
  const float *offset, *slope;

  struct Loaded {
    Packed<T, N> x, dz, addend;
  };
  struct Column {
    BackwardPass pass;
    std::int64_t channel;
    Norm<N> norm;
    Slope<N> slope;
    __device__ Loaded load(std::int64_t row) const {
      const std::int64_t i = row * pass.of.c + channel;
      Loaded in;
      in.x = load_packed<N>(pass.of.x + i);
      in.dz = load_packed<N>(pass.dz + i);
      if constexpr (adds) in.addend = load_packed<N>(pass.of.addend + i);
      return in;
    }
    __device__ void use(std::int64_t row, const Loaded& in) const {
      const Floats<N> x = floats(in.x);
      Floats<N> dz = floats(in.dz);
      if constexpr (from_x) dz = through(pass.of.activation, norm(x), dz);
      Floats<N> dx = slope.dx(norm, x, dz);
      if constexpr (adds) dx = plus(floats(in.addend), dx);
      store_floats<N>(pass.of.dx + row * pass.of.c + channel, dx);
    }
  };
  __device__ Column column(std::int64_t channel) const {
    return {*this,
            channel,
            of.channels.template norm<N>(channel),
            {load_floats<N>(offset + channel), load_floats<N>(slope + channel)}};
  }
};

template <int N, bool keeps, Activated activated, bool two, class T>
void both_passes(Context& ctx, const BatchNormSpec& s, const BackwardOperands<T>& of,
                 GradientFinish finish) {
  const std::int64_t rows = s.n * s.h * s.w;
  using Terms = GradientTerms<T, N, keeps, activated, two>;
  const ColumnCut cut = ColumnCut::to_sum(rows, s.c, N, Terms::blocks);
  const GradientScratch scratch(ctx, cut);
  finish.offset = scratch.offset;
  finish.slope = scratch.slope;
  column_sums<N>(ctx, "batchnorm_gradients", cut, scratch.partial, Terms{of}, finish);
  const auto walk = [&](auto adds) {
    constexpr bool from_x = !keeps && activated == Activated::from_x;
    column_walk<N>(ctx, "batchnorm_backward", rows, s.c,
                   BackwardPass<T, N, from_x, adds.value>{of, keeps ? of.dz : of.dy, scratch.offset,
                                                          scratch.slope});
  };
  of.addend ? walk(std::true_type()) : walk(std::false_type());
}

template <int N, bool adds, Activated activated, class T>
void of_one_or_two(Context& ctx, const BatchNormSpec& s, const BackwardOperands<T>& of,
                   const GradientFinish& finish) {
  if (of.dy2) return both_passes<N, true, activated, true>(ctx, s, of, finish);
  both_passes<N, adds, activated, false>(ctx, s, of, finish);
}

void backward_adding(Context& ctx, const BatchNormSpec& s, const void* x, const void* y,
                     const void* gamma, const void* beta, const void* mean, const void* var,
                     const void* dy, void* dx, void* dgamma, void* dbeta, void* dresidual,
                     const void* dy2, const void* addend) {
  require_offsets("batchnorm", s.shape().numel());
  const Channels channels{as<float>(gamma), as<float>(beta), as<float>(mean), as<float>(var),
                          s.eps};
  const GradientFinish finish{static_cast<double>(s.n * s.h * s.w), channels, as<float>(dgamma),
                              as<float>(dbeta)};
  void* const dz = s.add ? dresidual : dx;
  const std::initializer_list<const void*> operands{x,  y,   gamma,  beta, mean,     var,
                                                    dy, dy2, addend, dx,   dresidual};
  by_vector(s.dtype, s.c, operands, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const BackwardOperands<T> of{channels,  s.activation, s.c,           as<T>(x),  as<T>(y),
                                 as<T>(dy), as<T>(dy2),   as<T>(addend), as<T>(dz), as<T>(dx)};
    const bool activates = s.activation != Activation::none;
    if (s.add && activates) return of_one_or_two<N, true, Activated::from_y>(ctx, s, of, finish);
    if (s.add) return of_one_or_two<N, true, Activated::nothing>(ctx, s, of, finish);
    if (activates) return of_one_or_two<N, false, Activated::from_x>(ctx, s, of, finish);
    of_one_or_two<N, false, Activated::nothing>(ctx, s, of, finish);
  });
}

void backward(Context& ctx, const BatchNormSpec& s, const void* x, const void* y, const void* gamma,
              const void* beta, const void* mean, const void* var, const void* dy, void* dx,
              void* dgamma, void* dbeta, void* dresidual) {
  backward_adding(ctx, s, x, y, gamma, beta, mean, var, dy, dx, dgamma, dbeta, dresidual, nullptr,
                  nullptr);
}

}  // namespace

void HAC_GPU::batchnorm_statistics(Context& ctx, const BatchNormSpec& s, const void* x, void* count,
                                   const BatchNormStatistics& out) {
  by_vector(s.dtype, s.c, {x}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const std::int64_t rows = s.n * s.h * s.w;
    using Terms = StatisticsTerms<T, N>;
    const ColumnCut cut = ColumnCut::to_sum(rows, s.c, N, Terms::blocks);
    column_sums<N>(
        ctx, "batchnorm_statistics", cut,
        as<float>(ctx.scratch(cut.partial_floats() * sizeof(float))), Terms{as<T>(x), s.c},
        StatisticsFinish<T>{as<T>(x), static_cast<double>(rows), as<float>(count),
                            as<float>(out.mean), as<float>(out.var), as<float>(out.running_mean),
                            as<float>(out.running_var), out.momentum});
  });
}

const BatchNormKernels HAC_GPU_TABLE(batchnorm){.statistics = statistics,
                                                .forward_train = forward_train,
                                                .forward_eval = forward_eval,
                                                .backward = backward,
                                                .backward_adding = backward_adding};

}  // namespace hac
