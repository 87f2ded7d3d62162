// One thread mixes a vector of 16 bytes and its partner in the mirrored image.

#include "kernels/ops/mixup.h"

#include "kernels/device/packed.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

template <int N, class T>
__global__ void mixup_kernel(Offset n, Offset elements, const float* share, T* x) {
  const Offset i = own_element<N>(), image = i / elements;
  if (image >= n / 2) return;
  const float lambda = load(share);
  T *a = x + i, *b = x + (n - 1 - image) * elements + i % elements;
  const Floats<N> left = load_floats<N>(a), right = load_floats<N>(b);
  Floats<N> mixed_left, mixed_right;
  for (int j = 0; j < N; ++j) {
    mixed_left.v[j] = lambda * left.v[j] + (1 - lambda) * right.v[j];
    mixed_right.v[j] = lambda * right.v[j] + (1 - lambda) * left.v[j];
  }
  store_floats<N>(a, mixed_left);
  store_floats<N>(b, mixed_right);
}

__global__ void targets_kernel(Offset n, Offset classes, const float* share,
                               const std::int32_t* labels, float* soft) {
  const Offset i = own_element(), row = i / classes;
  if (row >= n) return;
  const float lambda = load(share);
  const bool own = i % classes == load(labels + row);
  const bool other = i % classes == load(labels + n - 1 - row);
  const float rest = other ? 1 - lambda : 0;
  store(soft + i, own ? (other ? 1 : lambda) : rest);
}

void images(Context& ctx, const MixupSpec& s, const void* lambda, void* x) {
  const std::int64_t mixed = s.n / 2 * s.elements;
  if (mixed == 0) return;
  require_offsets("mixup", s.n * s.elements);
  by_vector(s.dtype, s.elements, {x}, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = n.value;
    launch(ctx, launch_over("mixup", mixed, N), mixup_kernel<N, T>, s.n, s.elements,
           as<float>(lambda), as<T>(x));
  });
}

void targets(Context& ctx, const MixupSpec& s, const void* lambda, const void* labels, void* soft) {
  launch(ctx, launch_over("mixup_targets", s.n * s.classes), targets_kernel, s.n, s.classes,
         as<float>(lambda), as<std::int32_t>(labels), as<float>(soft));
}

}  // namespace

const MixupKernels HAC_GPU_TABLE(mixup){.images = images, .targets = targets};

}  // namespace hac
