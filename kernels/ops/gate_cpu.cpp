#include "kernels/core/activation.h"
#include "kernels/cpu/loop.h"
#include "kernels/ops/gate.h"

namespace hac {
namespace {

// run(plane, block, T{}) for every block of channels of every image.
template <class Run>
void for_each_plane(Context& ctx, const GateSpec& s, Run run) {
  const cpu::Planes v(layout_of(ctx.device(), s.in_shape()), s.in_shape());
  const std::int64_t planes = v.n * v.padded / v.block, elements = planes * v.hw * v.block;
  cpu::by_block_and_type(ctx, s, v, [&](auto block, auto t) {
#pragma omp parallel for schedule(static) if (elements > cpu::serial_elements)
    for (std::int64_t p = 0; p < planes; ++p) run(p, v.hw, block, t);
  });
}

template <int block, class T>
void gates(const T* g, float* s) {
  for (int l = 0; l < block; ++l) s[l] = activation_detail::sigmoid(to_float(g[l]));
}

void forward(Context& ctx, const GateSpec& spec, const void* x, const void* g, void* y) {
  for_each_plane(ctx, spec, [=]<class T>(std::int64_t plane, std::int64_t hw, auto block, T) {
    constexpr int B = block;
    float s[B];
    gates<B>(as<T>(g) + plane * B, s);
    const T* const in = as<T>(x) + plane * hw * B;
    T* const out = as<T>(y) + plane * hw * B;
    for (std::int64_t i = 0; i < hw; ++i) {
#pragma omp simd
      for (int l = 0; l < B; ++l) out[i * B + l] = from_float<T>(to_float(in[i * B + l]) * s[l]);
    }
  });
}

void backward(Context& ctx, const GateSpec& spec, const void* x, const void* g, const void* dy,
              void* dx, void* dg) {
  for_each_plane(ctx, spec, [=]<class T>(std::int64_t plane, std::int64_t hw, auto block, T) {
    constexpr int B = block;
    float s[B];
    double sum[B] = {};
    gates<B>(as<T>(g) + plane * B, s);
    const T *const in = as<T>(x) + plane * hw * B, *const dout = as<T>(dy) + plane * hw * B;
    T* const din = as<T>(dx) + plane * hw * B;
    for (std::int64_t i = 0; i < hw; ++i) {
#pragma omp simd
      for (int l = 0; l < B; ++l) {
        const float d = to_float(dout[i * B + l]);
        sum[l] += d * to_float(in[i * B + l]);
        din[i * B + l] = from_float<T>(d * s[l]);
      }
    }
    T* const to = as<T>(dg) + plane * B;
    for (int l = 0; l < B; ++l) {
      to[l] = from_float<T>(static_cast<float>(sum[l] * s[l] * (1.0 - s[l])));
    }
  });
}

}  // namespace

HAC_CPU_TABLE(GateKernels, gate_cpu, {.forward = forward, .backward = backward})

}  // namespace hac
