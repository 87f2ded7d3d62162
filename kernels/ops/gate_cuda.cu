// Forward: one thread a vector of channels of one pixel. Backward: a block a tile of channels of
// one image, which adds up its gradient of the gate in a fixed order.

#include "kernels/ops/gate.h"

#include "kernels/core/activation.h"
#include "kernels/device/packed.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

template <int N>
__device__ Floats<N> sigmoids(const Floats<N>& g) {
  Floats<N> s;
  for (int j = 0; j < N; ++j) s.v[j] = activation_detail::sigmoid(g.v[j]);
  return s;
}

template <class T, int N>
__global__ void gate_kernel(Offset elements, Offset c, Offset hw, const T* x, const T* g, T* y) {
  wait_for_previous();
  const Offset i = own_element<N>();
  if (i >= elements) return;
  const Floats<N> s = sigmoids<N>(load_floats<N>(g + i / (c * hw) * c + i % c));
  Floats<N> v = load_floats<N>(x + i);
  for (int j = 0; j < N; ++j) v.v[j] *= s.v[j];
  store_floats<N>(y + i, v);
}

constexpr int gate_block = 256;

// `lanes` threads over the vectors of a tile of channels, the rest of the block over pixels.
template <class T, int N>
__global__ void gate_backward_kernel(Offset c, Offset hw, Offset tiles, int lanes, const T* x,
                                     const T* g, const T* dy, T* dx, T* dg) {
  wait_for_previous();
  HAC_SHARED(float, sums, N* gate_block);
  const int t = threadIdx.x;
  const Offset image = static_cast<Offset>(blockIdx.x) / tiles;
  const Offset channel = (static_cast<Offset>(blockIdx.x) % tiles * lanes + t % lanes) * N;
  Floats<N> s = {}, mine = {};
  if (channel < c) {
    s = sigmoids<N>(load_floats<N>(g + image * c + channel));
    for (Offset pixel = t / lanes; pixel < hw; pixel += gate_block / lanes) {
      const Offset at = (image * hw + pixel) * c + channel;
      Floats<N> d = load_floats<N>(dy + at);
      const Floats<N> v = load_floats<N>(x + at);
      for (int j = 0; j < N; ++j) {
        mine.v[j] += d.v[j] * v.v[j];
        d.v[j] *= s.v[j];
      }
      store_floats<N>(dx + at, d);
    }
  }
  for (int j = 0; j < N; ++j) sums[j * gate_block + t] = mine.v[j];
  for (int half = gate_block / 2; half >= lanes; half /= 2) {
    __syncthreads();
    if (t >= half) continue;
    for (int j = 0; j < N; ++j) sums[j * gate_block + t] += sums[j * gate_block + t + half];
  }
  if (t >= lanes || channel >= c) return;
  for (int j = 0; j < N; ++j) {
    const float sum = sums[j * gate_block + t];
    mine.v[j] = sum * s.v[j] * (1.f - s.v[j]);
  }
  store_floats<N>(dg + image * c + channel, mine);
}

void forward(Context& ctx, const GateSpec& s, const void* x, const void* g, void* y) {
  by_vector(s.dtype, s.c, {x, g, y}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    const std::int64_t elements = s.in_shape().numel();
    launch(ctx, launch_over("gate", elements, N), gate_kernel<T, N>, elements, s.c, s.h * s.w,
           as<T>(x), as<T>(g), as<T>(y));
  });
}

void backward(Context& ctx, const GateSpec& s, const void* x, const void* g, const void* dy,
              void* dx, void* dg) {
  require_offsets("gate_backward", s.in_shape().numel());
  by_vector(s.dtype, s.c, {x, g, dy, dx, dg}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    int lanes = 1;
    while (lanes < 32 && lanes * N < s.c) lanes *= 2;
    const std::int64_t tiles = ceil_div(s.c, lanes * N);
    launch(ctx, {.name = "gate_backward", .grid = s.n * tiles, .block = gate_block},
           gate_backward_kernel<T, N>, s.c, s.h * s.w, tiles, lanes, as<T>(x), as<T>(g), as<T>(dy),
           as<T>(dx), as<T>(dg));
  });
}

}  // namespace

const GateKernels HAC_GPU_TABLE(gate){.forward = forward, .backward = backward};

}  // namespace hac
