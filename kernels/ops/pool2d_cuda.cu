// One thread a vector of channels of one pixel. Backward gathers: each input pixel asks the windows
// that cover it, so nothing is added by two threads.

#include "kernels/ops/pool2d.h"

#include "kernels/device/packed.cuh"

namespace hac {
namespace HAC_GPU {
namespace {

// What the kernels need of a spec; a global average is one window without padding.
struct Windows {
  explicit Windows(const Pool2dSpec& s)
      : c(narrow(s.c)), h(narrow(s.h)), w(narrow(s.w)), oh(narrow(s.oh())), ow(narrow(s.ow())) {
    if (s.mode == PoolMode::global_avg) {
      kh = h;
      kw = w;
    } else {
      kh = kw = narrow(s.kernel);
      stride = narrow(s.stride);
      pad = narrow(s.pad);
    }
  }
  static Offset narrow(std::int64_t size) { return static_cast<Offset>(size); }
  Offset c, h, w, oh, ow, kh = 1, kw = 1, stride = 1, pad = 0;
};

// The place of an element in an (n, rows, columns, c) tensor.
struct Pixel {
  __device__ Pixel(Offset at, Offset c, Offset rows, Offset columns)
      : element(at),
        channel(at % c),
        column(at / c % columns),
        row(at / c / columns % rows),
        image(at / c / columns / rows) {}
  Offset element, channel, column, row, image;
};

__device__ inline Offset largest(Offset a, Offset b) { return a > b ? a : b; }
__device__ inline Offset least(Offset a, Offset b) { return a < b ? a : b; }

// The windows [first, last] that cover a position.
__device__ inline Offset first_window(Offset at, Offset kernel, const Windows& s) {
  return at + s.pad < kernel ? 0 : (at + s.pad - kernel) / s.stride + 1;
}
__device__ inline Offset last_window(Offset at, Offset count, const Windows& s) {
  return least((at + s.pad) / s.stride, count - 1);
}

template <class T, int N>
__global__ void max_forward_kernel(Offset elements, Windows s, const T* x, T* y,
                                   std::uint8_t* index) {
  const Offset first_element = own_element<N>();
  if (first_element >= elements) return;
  const Pixel at(first_element, s.c, s.oh, s.ow);
  Floats<N> best;
  Packed<std::uint8_t, N> place = {};
  for (int j = 0; j < N; ++j) best.v[j] = -INFINITY;
  bool first = true;
  for (Offset u = 0; u < s.kh; ++u) {
    const Offset row = at.row * s.stride - s.pad + u;
    if (row < 0 || row >= s.h) continue;
    for (Offset v = 0; v < s.kw; ++v) {
      const Offset column = at.column * s.stride - s.pad + v;
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
__global__ void max_backward_kernel(Offset elements, Windows s, const T* dy,
                                    const std::uint8_t* index, T* dx) {
  const Offset first_element = own_element<N>();
  if (first_element >= elements) return;
  const Pixel at(first_element, s.c, s.h, s.w);
  Floats<N> sum = {};
  for (Offset i = first_window(at.row, s.kh, s); i <= last_window(at.row, s.oh, s); ++i) {
    for (Offset j = first_window(at.column, s.kw, s); j <= last_window(at.column, s.ow, s); ++j) {
      const Offset from = ((at.image * s.oh + i) * s.ow + j) * s.c + at.channel;
      const auto place = load(reinterpret_cast<const Packed<std::uint8_t, N>*>(index + from));
      const Floats<N> grad = load_floats<N>(dy + from);
      const Offset here = (at.row + s.pad - i * s.stride) * s.kw + at.column + s.pad - j * s.stride;
      for (int k = 0; k < N; ++k) sum.v[k] += place.v[k] == here ? grad.v[k] : 0.f;
    }
  }
  store_floats<N>(dx + at.element, sum);
}

template <class T, int N>
__global__ void average_forward_kernel(Offset elements, Windows s, const T* x, T* y) {
  const Offset first_element = own_element<N>();
  if (first_element >= elements) return;
  const Pixel at(first_element, s.c, s.oh, s.ow);
  const Offset top = at.row * s.stride - s.pad, left = at.column * s.stride - s.pad;
  Floats<N> sum = {};
  for (Offset row = largest(top, 0); row < least(top + s.kh, s.h); ++row) {
    for (Offset column = largest(left, 0); column < least(left + s.kw, s.w); ++column) {
      const Floats<N> here =
          load_floats<N>(x + ((at.image * s.h + row) * s.w + column) * s.c + at.channel);
      for (int j = 0; j < N; ++j) sum.v[j] += here.v[j];
    }
  }
  for (int j = 0; j < N; ++j) sum.v[j] /= static_cast<float>(s.kh * s.kw);
  store_floats<N>(y + at.element, sum);
}

template <class T, int N>
__global__ void average_backward_kernel(Offset elements, Windows s, const T* dy, T* dx) {
  const Offset first_element = own_element<N>();
  if (first_element >= elements) return;
  const Pixel at(first_element, s.c, s.h, s.w);
  Floats<N> sum = {};
  for (Offset i = first_window(at.row, s.kh, s); i <= last_window(at.row, s.oh, s); ++i) {
    for (Offset j = first_window(at.column, s.kw, s); j <= last_window(at.column, s.ow, s); ++j) {
      const Floats<N> grad =
          load_floats<N>(dy + ((at.image * s.oh + i) * s.ow + j) * s.c + at.channel);
      for (int k = 0; k < N; ++k) sum.v[k] += grad.v[k];
    }
  }
  for (int k = 0; k < N; ++k) sum.v[k] /= static_cast<float>(s.kh * s.kw);
  store_floats<N>(dx + at.element, sum);
}

std::size_t index_bytes(Context&, const Pool2dSpec& s) {
  if (s.mode != PoolMode::max) return 0;
  if (s.kernel > 16) {
    throw ShapeError(s.str() + ": expected a kernel of at most 16 (its index is one byte)");
  }
  return s.out_shape().numel();
}

void forward(Context& ctx, const Pool2dSpec& s, const void* x, void* y, void* index) {
  s.validate();
  require_offsets("pool", s.in_shape().numel());
  const Windows windows(s);
  by_vector(s.dtype, s.c, {x, y, index}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const std::int64_t elements = s.out_shape().numel();
    if (s.mode == PoolMode::max) {
      launch(ctx, launch_over("max_pool", elements, N), max_forward_kernel<T, N>, elements, windows,
             static_cast<const T*>(x), static_cast<T*>(y), static_cast<std::uint8_t*>(index));
    } else {
      launch(ctx, launch_over("average_pool", elements, N), average_forward_kernel<T, N>, elements,
             windows, static_cast<const T*>(x), static_cast<T*>(y));
    }
  });
}

void backward(Context& ctx, const Pool2dSpec& s, const void* dy, const void* index, void* dx) {
  require_offsets("pool", s.out_shape().numel());
  const Windows windows(s);
  by_vector(s.dtype, s.c, {dy, index, dx}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const std::int64_t elements = s.in_shape().numel();
    if (s.mode == PoolMode::max) {
      launch(ctx, launch_over("max_pool_backward", elements, N), max_backward_kernel<T, N>,
             elements, windows, static_cast<const T*>(dy), static_cast<const std::uint8_t*>(index),
             static_cast<T*>(dx));
    } else {
      launch(ctx, launch_over("average_pool_backward", elements, N), average_backward_kernel<T, N>,
             elements, windows, static_cast<const T*>(dy), static_cast<T*>(dx));
    }
  });
}

}  // namespace
}  // namespace HAC_GPU

const Pool2dKernels HAC_GPU_TABLE(pool2d){.forward = HAC_GPU::forward,
                                          .index_bytes = HAC_GPU::index_bytes,
                                          .backward = HAC_GPU::backward};

}  // namespace hac
