// One thread a vector of channels of one pixel. Backward gathers: each input pixel asks the windows
// that cover it, so nothing is added by two threads.

#include "kernels/ops/pool2d.h"

#include "kernels/device/packed.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

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
      : channel(at % c),
        column(at / c % columns),
        row(at / c / columns % rows),
        image(at / c / columns / rows) {}
  Offset channel, column, row, image;
};

__device__ inline Offset largest(Offset a, Offset b) { return a > b ? a : b; }
__device__ inline Offset least(Offset a, Offset b) { return a < b ? a : b; }

// visit(place in the window, element of x) for the pixels under an output pixel's window, in row
// order, without the padding.
template <class Visit>
__device__ void for_each_pixel(const Windows& s, const Pixel& at, Visit visit) {
  const Offset top = at.row * s.stride - s.pad, left = at.column * s.stride - s.pad;
  for (Offset row = largest(top, 0); row < least(top + s.kh, s.h); ++row) {
    for (Offset column = largest(left, 0); column < least(left + s.kw, s.w); ++column) {
      visit((row - top) * s.kw + column - left,
            ((at.image * s.h + row) * s.w + column) * s.c + at.channel);
    }
  }
}

// The windows [first, last] that cover a position.
__device__ inline Offset first_window(Offset at, Offset kernel, const Windows& s) {
  return at + s.pad < kernel ? 0 : (at + s.pad - kernel) / s.stride + 1;
}
__device__ inline Offset last_window(Offset at, Offset count, const Windows& s) {
  return least((at + s.pad) / s.stride, count - 1);
}

// visit(place in the window, element of y) for the windows that cover an input pixel.
template <class Visit>
__device__ void for_each_window(const Windows& s, const Pixel& at, Visit visit) {
  for (Offset i = first_window(at.row, s.kh, s); i <= last_window(at.row, s.oh, s); ++i) {
    for (Offset j = first_window(at.column, s.kw, s); j <= last_window(at.column, s.ow, s); ++j) {
      visit((at.row + s.pad - i * s.stride) * s.kw + at.column + s.pad - j * s.stride,
            ((at.image * s.oh + i) * s.ow + j) * s.c + at.channel);
    }
  }
}

template <class T, int N>
__global__ void max_forward_kernel(Offset elements, Windows s, const T* x, T* y,
                                   std::uint8_t* index) {
  wait_for_previous();
  const Offset own = own_element<N>();
  if (own >= elements) return;
  Floats<N> best;
  Packed<std::uint8_t, N> best_place = {};
  for (int j = 0; j < N; ++j) best.v[j] = -INFINITY;
  bool first = true;
  for_each_pixel(s, Pixel(own, s.c, s.oh, s.ow), [&](Offset place, Offset from) {
    const Floats<N> here = load_floats<N>(x + from);
    for (int j = 0; j < N; ++j) {
      // A NaN wins, as in PyTorch.
      if (first || here.v[j] > best.v[j] || here.v[j] != here.v[j]) {
        best.v[j] = here.v[j];
        best_place.v[j] = static_cast<std::uint8_t>(place);
      }
    }
    first = false;
  });
  store_floats<N>(y + own, best);
  if (index) store(reinterpret_cast<Packed<std::uint8_t, N>*>(index + own), best_place);
}

template <class T, int N>
__global__ void max_backward_kernel(Offset elements, Windows s, const T* dy,
                                    const std::uint8_t* index, T* dx) {
  wait_for_previous();
  const Offset own = own_element<N>();
  if (own >= elements) return;
  Floats<N> sum = {};
  for_each_window(s, Pixel(own, s.c, s.h, s.w), [&](Offset here, Offset from) {
    const auto place = load(reinterpret_cast<const Packed<std::uint8_t, N>*>(index + from));
    const Floats<N> grad = load_floats<N>(dy + from);
    for (int k = 0; k < N; ++k) sum.v[k] += place.v[k] == here ? grad.v[k] : 0.f;
  });
  store_floats<N>(dx + own, sum);
}

// The sum over a window, or over the windows that cover a pixel, by the size of a window.
template <bool forward, class T, int N>
__global__ void average_kernel(Offset elements, Windows s, const T* from, T* to) {
  wait_for_previous();
  const Offset own = own_element<N>();
  if (own >= elements) return;
  Floats<N> sum = {};
  const auto add = [&](Offset, Offset i) {
    const Floats<N> here = load_floats<N>(from + i);
    for (int j = 0; j < N; ++j) sum.v[j] += here.v[j];
  };
  if constexpr (forward) {
    for_each_pixel(s, Pixel(own, s.c, s.oh, s.ow), add);
  } else {
    for_each_window(s, Pixel(own, s.c, s.h, s.w), add);
  }
  for (int j = 0; j < N; ++j) sum.v[j] /= static_cast<float>(s.kh * s.kw);
  store_floats<N>(to + own, sum);
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
             as<T>(x), as<T>(y), as<std::uint8_t>(index));
    } else {
      launch(ctx, launch_over("average_pool", elements, N), average_kernel<true, T, N>, elements,
             windows, as<T>(x), as<T>(y));
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
             elements, windows, as<T>(dy), as<std::uint8_t>(index), as<T>(dx));
    } else {
      launch(ctx, launch_over("average_pool_backward", elements, N), average_kernel<false, T, N>,
             elements, windows, as<T>(dy), as<T>(dx));
    }
  });
}

}  // namespace

const Pool2dKernels HAC_GPU_TABLE(pool2d){
    .forward = forward, .index_bytes = index_bytes, .backward = backward};

}  // namespace hac
