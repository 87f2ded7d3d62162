// One thread a vector of channels of one pixel. Backward gathers: each input pixel asks the windows
// that cover it, so nothing is added by two threads.

#include "kernels/pool2d.h"

#include "kernels/cuda/packed.cuh"

namespace hac {
namespace HAC_GPU {
namespace {

// What the kernels need of a spec; a global average is one window without padding.
struct Windows {
  explicit Windows(const Pool2dSpec& s) : n(s.n), c(s.c), h(s.h), w(s.w), oh(s.oh()), ow(s.ow()) {
    if (s.kind == PoolKind::global_avg) {
      kh = s.h;
      kw = s.w;
    } else {
      kh = kw = s.kernel;
      stride = s.stride;
      pad = s.pad;
    }
  }
  std::int64_t n, c, h, w, oh, ow, kh = 1, kw = 1, stride = 1, pad = 0;
};

// The place of a thread: N channels of one pixel of an (n, rows, columns, c) tensor.
template <int N>
struct Pixel {
  __device__ Pixel(std::int64_t thread, std::int64_t c, std::int64_t rows, std::int64_t columns)
      : element(thread * N),
        channel(element % c),
        column(element / c % columns),
        row(element / c / columns % rows),
        image(element / c / columns / rows) {}
  std::int64_t element, channel, column, row, image;
};

__device__ inline std::int64_t largest(std::int64_t a, std::int64_t b) { return a > b ? a : b; }
__device__ inline std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// The windows [first, last] that cover a position.
__device__ inline std::int64_t first_window(std::int64_t at, std::int64_t kernel,
                                            const Windows& s) {
  return at + s.pad < kernel ? 0 : (at + s.pad - kernel) / s.stride + 1;
}
__device__ inline std::int64_t last_window(std::int64_t at, std::int64_t count, const Windows& s) {
  return least((at + s.pad) / s.stride, count - 1);
}

template <class T, int N>
__global__ void max_forward_kernel(std::int64_t threads, Windows s, const T* x, T* y,
                                   std::uint8_t* index) {
  if (global_thread() >= threads) return;
  const Pixel<N> at(global_thread(), s.c, s.oh, s.ow);
  Floats<N> best;
  Packed<std::uint8_t, N> place = {};
  for (int j = 0; j < N; ++j) best.v[j] = -INFINITY;
  bool first = true;
  for (std::int64_t u = 0; u < s.kh; ++u) {
    const std::int64_t row = at.row * s.stride - s.pad + u;
    if (row < 0 || row >= s.h) continue;
    for (std::int64_t v = 0; v < s.kw; ++v) {
      const std::int64_t column = at.column * s.stride - s.pad + v;
      if (column < 0 || column >= s.w) continue;
      const Floats<N> here =
          load_floats<N>(x + ((at.image * s.h + row) * s.w + column) * s.c + at.channel);
      for (int j = 0; j < N; ++j) {
        // A NaN wins, as in PyTorch.
        if (first || here.v[j] > best.v[j] || here.v[j] != here.v[j]) {
          best.v[j] = here.v[j];
          place.v[j] = static_cast<std::uint8_t>(u * s.kw + v);
        }
      }
      first = false;
    }
  }
  store_floats<N>(y + at.element, best);
  if (index) store(reinterpret_cast<Packed<std::uint8_t, N>*>(index + at.element), place);
}

template <class T, int N>
__global__ void max_backward_kernel(std::int64_t threads, Windows s, const T* dy,
                                    const std::uint8_t* index, T* dx) {
  if (global_thread() >= threads) return;
  const Pixel<N> at(global_thread(), s.c, s.h, s.w);
  Floats<N> sum = {};
  for (std::int64_t i = first_window(at.row, s.kh, s); i <= last_window(at.row, s.oh, s); ++i) {
    for (std::int64_t j = first_window(at.column, s.kw, s); j <= last_window(at.column, s.ow, s);
         ++j) {
      const std::int64_t from = ((at.image * s.oh + i) * s.ow + j) * s.c + at.channel;
      const auto place = load(reinterpret_cast<const Packed<std::uint8_t, N>*>(index + from));
      const Floats<N> grad = load_floats<N>(dy + from);
      const std::int64_t here =
          (at.row + s.pad - i * s.stride) * s.kw + at.column + s.pad - j * s.stride;
      for (int k = 0; k < N; ++k) sum.v[k] += place.v[k] == here ? grad.v[k] : 0.f;
    }
  }
  store_floats<N>(dx + at.element, sum);
}

template <class T, int N>
__global__ void average_forward_kernel(std::int64_t threads, Windows s, const T* x, T* y) {
  if (global_thread() >= threads) return;
  const Pixel<N> at(global_thread(), s.c, s.oh, s.ow);
  const std::int64_t top = at.row * s.stride - s.pad, left = at.column * s.stride - s.pad;
  Floats<N> sum = {};
  for (std::int64_t row = largest(top, 0); row < least(top + s.kh, s.h); ++row) {
    for (std::int64_t column = largest(left, 0); column < least(left + s.kw, s.w); ++column) {
      const Floats<N> here =
          load_floats<N>(x + ((at.image * s.h + row) * s.w + column) * s.c + at.channel);
      for (int j = 0; j < N; ++j) sum.v[j] += here.v[j];
    }
  }
  for (int j = 0; j < N; ++j) sum.v[j] /= static_cast<float>(s.kh * s.kw);
  store_floats<N>(y + at.element, sum);
}

template <class T, int N>
__global__ void average_backward_kernel(std::int64_t threads, Windows s, const T* dy, T* dx) {
  if (global_thread() >= threads) return;
  const Pixel<N> at(global_thread(), s.c, s.h, s.w);
  Floats<N> sum = {};
  for (std::int64_t i = first_window(at.row, s.kh, s); i <= last_window(at.row, s.oh, s); ++i) {
    for (std::int64_t j = first_window(at.column, s.kw, s); j <= last_window(at.column, s.ow, s);
         ++j) {
      const Floats<N> grad =
          load_floats<N>(dy + ((at.image * s.oh + i) * s.ow + j) * s.c + at.channel);
      for (int k = 0; k < N; ++k) sum.v[k] += grad.v[k];
    }
  }
  for (int k = 0; k < N; ++k) sum.v[k] /= static_cast<float>(s.kh * s.kw);
  store_floats<N>(dx + at.element, sum);
}

std::size_t index_bytes(Context&, const Pool2dSpec& s) {
  if (s.kind != PoolKind::max) return 0;
  if (s.kernel > 16) {
    throw ShapeError(s.str() + ": expected a kernel of at most 16 (its index is one byte)");
  }
  return s.out_shape().numel();
}

void forward(Context& ctx, const Pool2dSpec& s, const void* x, void* y, void* index) {
  s.validate();
  const Windows windows(s);
  by_vector(s.dtype, s.c, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const std::int64_t threads = s.out_shape().numel() / N;
    if (s.kind == PoolKind::max) {
      launch(ctx, launch_over("max_pool", threads), max_forward_kernel<T, N>, threads, windows,
             static_cast<const T*>(x), static_cast<T*>(y), static_cast<std::uint8_t*>(index));
    } else {
      launch(ctx, launch_over("average_pool", threads), average_forward_kernel<T, N>, threads,
             windows, static_cast<const T*>(x), static_cast<T*>(y));
    }
  });
}

void backward(Context& ctx, const Pool2dSpec& s, const void* dy, const void* index, void* dx) {
  const Windows windows(s);
  by_vector(s.dtype, s.c, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const std::int64_t threads = s.in_shape().numel() / N;
    if (s.kind == PoolKind::max) {
      launch(ctx, launch_over("max_pool_backward", threads), max_backward_kernel<T, N>, threads,
             windows, static_cast<const T*>(dy), static_cast<const std::uint8_t*>(index),
             static_cast<T*>(dx));
    } else {
      launch(ctx, launch_over("average_pool_backward", threads), average_backward_kernel<T, N>,
             threads, windows, static_cast<const T*>(dy), static_cast<T*>(dx));
    }
  });
}

}  // namespace
}  // namespace HAC_GPU

const Pool2dKernels HAC_GPU_TABLE(pool2d){.forward = HAC_GPU::forward,
                                          .index_bytes = HAC_GPU::index_bytes,
                                          .backward = HAC_GPU::backward};

}  // namespace hac
