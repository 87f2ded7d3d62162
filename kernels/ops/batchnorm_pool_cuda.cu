// A batch norm and the max pool behind it, without the map between them: a thread works on the
// windows of its channels. Passes over the activations: forward 2 reads, backward 2 reads and 1
// write, and a quarter of that for what was pooled and its place.

#include "kernels/ops/batchnorm_columns.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

// The four pixels of a window, in row order.
constexpr int places = 4;

// The pixels of the windows of a map; all windows of a batch are counted in row order.
struct Windows {
  explicit Windows(const BatchNormSpec& s)
      : c(s.c),
        w(static_cast<Offset>(s.w)),
        pooled_w(static_cast<Offset>(s.w / 2)),
        count(s.n * (s.h / 2) * (s.w / 2)) {}
  // The place in the map of a window's first pixel and channel 0. Rows of windows are two of
  // pixels, also from one image to the next.
  __device__ std::int64_t first(std::int64_t window) const {
    const Offset row = static_cast<Offset>(window) / pooled_w;
    const Offset column = static_cast<Offset>(window) - row * pooled_w;
    return (2 * static_cast<std::int64_t>(row) * w + 2 * column) * c;
  }
  __device__ std::int64_t offset(int place) const { return (place / 2 * w + place % 2) * c; }

  std::int64_t c;
  Offset w, pooled_w;
  std::int64_t count;
};

template <class T, int N>
struct Pixels {
  Packed<T, N> at[places];
};

template <int N, class T>
__device__ Pixels<T, N> load_pixels(const Windows& windows, const T* x) {
  Pixels<T, N> out;
  HAC_UNROLL
  for (int k = 0; k < places; ++k) out.at[k] = load_packed<N>(x + windows.offset(k));
  return out;
}

// What is compared is rounded as the map would have been; a NaN wins, as in PyTorch.
template <class T, int N>
struct ForwardPass {
  static constexpr int together = 1, blocks = 3;
  Channels channels;
  Activation activation;
  Windows windows;
  const T* x;
  T* y;
  std::uint8_t* index;

  struct Column {
    ForwardPass pass;
    std::int64_t channel;
    Norm<N> norm;
    __device__ Pixels<T, N> load(std::int64_t window) const {
      return load_pixels<N>(pass.windows, pass.x + pass.windows.first(window) + channel);
    }
    __device__ void use(std::int64_t window, const Pixels<T, N>& in) const {
      Floats<N> best = {};
      Packed<std::uint8_t, N> place = {};
      HAC_UNROLL
      for (int k = 0; k < places; ++k) {
        const Floats<N> map = activated(pass.activation, norm(floats(in.at[k])));
        HAC_UNROLL
        for (int j = 0; j < N; ++j) {
          const float y = to_float(from_float<T>(map.v[j]));
          if (k > 0 && !(y > best.v[j]) && y == y) continue;
          best.v[j] = y;
          place.v[j] = static_cast<std::uint8_t>(k);
        }
      }
      const std::int64_t i = window * pass.windows.c + channel;
      store_floats<N>(pass.y + i, best);
      store(reinterpret_cast<Packed<std::uint8_t, N>*>(pass.index + i), place);
    }
  };
  __device__ Column column(std::int64_t channel) const {
    return {*this, channel, channels.norm<N>(channel)};
  }
};

void forward_train(Context& ctx, const BatchNormSpec& s, const void* x, const void* gamma,
                   const void* beta, void* y, void* index, BatchNormStatistics out) {
  require_offsets("batchnorm_pool", s.shape().numel());
  batchnorm_statistics(ctx, s, x, nullptr, out);
  const Channels channels{as<float>(gamma), as<float>(beta), as<float>(out.mean),
                          as<float>(out.var), s.eps};
  by_vector(s.dtype, s.c, {x, gamma, beta, out.mean, out.var, y, index}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const Windows windows(s);
    column_walk<N>(ctx, "batchnorm_max_pool", windows.count, s.c,
                   ForwardPass<T, N>{channels, s.activation, windows, as<T>(x), as<T>(y),
                                     as<std::uint8_t>(index)});
  });
}

template <class T>
struct BackwardOperands {
  Channels channels;
  Activation activation;
  Windows windows;
  const T *x, *dy;
  const std::uint8_t* index;
};

template <class T, int N>
struct BackwardLoaded {
  Pixels<T, N> x;
  Packed<T, N> dy;
  Packed<std::uint8_t, N> place;
};

// What a thread of either backward pass knows of its channels.
template <class T, int N>
struct BackwardColumn {
  BackwardOperands<T> of;
  std::int64_t channel;
  Norm<N> norm;
  __device__ BackwardLoaded<T, N> load(std::int64_t window) const {
    const std::int64_t i = window * of.windows.c + channel;
    return {load_pixels<N>(of.windows, of.x + of.windows.first(window) + channel),
            load_packed<N>(of.dy + i), load_packed<N>(of.index + i)};
  }
};

// dz is zero but where a window's maximum lies.
template <class T, int N>
struct GradientTerms {
  static constexpr int together = 1, blocks = 2;
  BackwardOperands<T> of;

  struct Column : BackwardColumn<T, N> {
    __device__ explicit Column(const BackwardColumn<T, N>& own) : BackwardColumn<T, N>(own) {}
    __device__ void add(std::int64_t, const BackwardLoaded<T, N>& in, float (&sums)[2 * N]) const {
      Floats<N> x = floats(in.x.at[0]);
      HAC_UNROLL
      for (int k = 1; k < places; ++k) {
        const Floats<N> pixel = floats(in.x.at[k]);
        HAC_UNROLL
        for (int j = 0; j < N; ++j) x.v[j] = in.place.v[j] == k ? pixel.v[j] : x.v[j];
      }
      add_gradients<N>(this->norm, x, through(this->of.activation, this->norm(x), floats(in.dy)),
                       sums);
    }
  };
  __device__ Column column(std::int64_t channel) const {
    return Column({of, channel, of.channels.template norm<N>(channel)});
  }
};

template <class T, int N>
struct BackwardPass {
  static constexpr int together = 1, blocks = 2;
  BackwardOperands<T> of;
  const float *offset, *slope;
  T* dx;

  struct Column : BackwardColumn<T, N> {
    __device__ Column(const BackwardColumn<T, N>& own, const Slope<N>& slope, T* dx)
        : BackwardColumn<T, N>(own), slope(slope), dx(dx) {}
    Slope<N> slope;
    T* dx;
    __device__ void use(std::int64_t window, const BackwardLoaded<T, N>& in) const {
      T* to = dx + this->of.windows.first(window) + this->channel;
      const Floats<N> dy = floats(in.dy);
      HAC_UNROLL
      for (int k = 0; k < places; ++k) {
        const Floats<N> x = floats(in.x.at[k]);
        Floats<N> dz = through(this->of.activation, this->norm(x), dy);
        HAC_UNROLL
        for (int j = 0; j < N; ++j) dz.v[j] = in.place.v[j] == k ? dz.v[j] : 0.f;
        store_floats<N>(to + this->of.windows.offset(k), slope.dx(this->norm, x, dz));
      }
    }
  };
  __device__ Column column(std::int64_t channel) const {
    return Column({of, channel, of.channels.template norm<N>(channel)},
                  {load_floats<N>(offset + channel), load_floats<N>(slope + channel)}, dx);
  }
};

void backward(Context& ctx, const BatchNormSpec& s, const void* x, const void* gamma,
              const void* beta, const void* mean, const void* var, const void* dy,
              const void* index, void* dx, void* dgamma, void* dbeta) {
  require_offsets("batchnorm_pool", s.shape().numel());
  const Channels channels{as<float>(gamma), as<float>(beta), as<float>(mean), as<float>(var),
                          s.eps};
  by_vector(s.dtype, s.c, {x, gamma, beta, mean, var, dy, index, dx}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const BackwardOperands<T> of{channels, s.activation, Windows(s),
                                 as<T>(x), as<T>(dy),    as<std::uint8_t>(index)};
    using Terms = GradientTerms<T, N>;
    const ColumnCut cut = ColumnCut::to_sum(of.windows.count, s.c, N, Terms::blocks);
    const GradientScratch scratch(ctx, cut);
    column_sums<N>(ctx, "batchnorm_max_pool_gradients", cut, scratch.partial, Terms{of},
                   GradientFinish{static_cast<double>(s.n * s.h * s.w), channels, as<float>(dgamma),
                                  as<float>(dbeta), scratch.offset, scratch.slope});
    column_walk<N>(ctx, "batchnorm_max_pool_backward", of.windows.count, s.c,
                   BackwardPass<T, N>{of, scratch.offset, scratch.slope, as<T>(dx)});
  });
}

}  // namespace

const BatchNormPoolKernels HAC_GPU_TABLE(batchnorm_pool){.forward_train = forward_train,
                                                         .backward = backward};

}  // namespace hac
