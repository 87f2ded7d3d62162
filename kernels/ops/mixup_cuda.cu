// One thread mixes a vector of 16 bytes and its partner in the mirrored image.

#include "kernels/ops/mixup.h"

#include "kernels/device/packed.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

template <int N, class T>
__global__ void mixup_kernel(MixupSpec s, const Mixing* mixing, T* x) {
  wait_for_previous();
  const Offset elements = static_cast<Offset>(s.elements), i = own_element<N>();
  const Offset image = i / elements, first = i % elements;
  if (image >= s.n / 2) return;
  const Mixing m = load(mixing);
  const Offset height = static_cast<Offset>(s.height), width = static_cast<Offset>(s.width),
               block = static_cast<Offset>(s.block);
  const bool everywhere = m.top <= 0 && m.left <= 0 && m.bottom >= s.height && m.right >= s.width;
  T *a = x + i, *b = x + (s.n - 1 - image) * s.elements + first;
  const Floats<N> left = load_floats<N>(a), right = load_floats<N>(b);
  Floats<N> mixed_left = left, mixed_right = right;
  for (int j = 0; j < N; ++j) {
    const Offset pixel = (first + j) / block % (height * width);
    const std::int32_t row = static_cast<std::int32_t>(pixel / width),
                       column = static_cast<std::int32_t>(pixel % width);
    const bool inside = row >= m.top && row < m.bottom && column >= m.left && column < m.right;
    if (!everywhere && !inside) continue;
    mixed_left.v[j] = m.inside * left.v[j] + (1 - m.inside) * right.v[j];
    mixed_right.v[j] = m.inside * right.v[j] + (1 - m.inside) * left.v[j];
  }
  store_floats<N>(a, mixed_left);
  store_floats<N>(b, mixed_right);
}

__global__ void targets_kernel(Offset n, Offset classes, const Mixing* mixing,
                               const std::int32_t* labels, float* soft) {
  wait_for_previous();
  const Offset i = own_element(), row = i / classes;
  if (row >= n) return;
  const float lambda = load(mixing).target;
  const bool own = i % classes == load(labels + row);
  const bool other = i % classes == load(labels + n - 1 - row);
  const float rest = other ? 1 - lambda : 0;
  store(soft + i, own ? (other ? 1 : lambda) : rest);
}

void images(Context& ctx, const MixupSpec& s, const void* mixing, void* x) {
  const std::int64_t mixed = s.n / 2 * s.elements;
  if (mixed == 0) return;
  require_offsets("mixup", s.n * s.elements);
  by_vector(s.dtype, s.elements, {x}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    launch(ctx, launch_over("mixup", mixed, N), mixup_kernel<N, T>, s, as<Mixing>(mixing),
           as<T>(x));
  });
}

void targets(Context& ctx, const MixupSpec& s, const void* mixing, const void* labels, void* soft) {
  launch(ctx, launch_over("mixup_targets", s.n * s.classes), targets_kernel, s.n, s.classes,
         as<Mixing>(mixing), as<std::int32_t>(labels), as<float>(soft));
}

}  // namespace

const MixupKernels HAC_GPU_TABLE(mixup){.images = images, .targets = targets};

}  // namespace hac
