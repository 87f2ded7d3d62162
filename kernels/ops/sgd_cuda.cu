// All parameters in one launch (64 a launch, exactly). Bytes a parameter: 12 read (10 with a 16-bit
// gradient), 8 written, and 2 for a 16-bit copy.

#include "kernels/ops/sgd.h"

#include "kernels/device/segments.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

template <int N, class Copy, bool adapts>
__device__ void update_vector(const SgdUpdate<adapts>& update, const SgdSegment& s,
                              std::int64_t i) {
  float* w = as<float>(s.weight) + i;
  float* v = as<float>(s.velocity) + i;
  const Floats<N> grad = load_gradient<N>(s.grad, s.grad_dtype, i);
  Floats<N> weight = load_floats<N>(w), velocity = load_floats<N>(v);
  for (int j = 0; j < N; ++j) update(grad.v[j], weight.v[j], velocity.v[j]);
  store_floats<N>(w, weight);
  store_floats<N>(v, velocity);
  if (s.copy) store_floats<N>(as<Copy>(s.copy) + i, weight);
}

template <class Copy, bool adapts>
__global__ void step_kernel(Segments<SgdSegment> segments, SgdSpec spec, const float* lr,
                            const std::int32_t* skip) {
  wait_for_previous();
  if (skip && load(skip) != 0) return;
  const auto part = segments.part_of(blockIdx.x);
  const SgdSegment& s = part.segment;
  const float decay = s.decays ? spec.weight_decay : 0.f;
  float trust = 1;
  if constexpr (adapts) {
    const double* squares = as<double>(s.squares);
    if (squares) trust = sgd_trust(spec, decay, load(squares), load(squares + 1));
  }
  const SgdUpdate<adapts> update{load(lr), spec.momentum, decay, trust, spec.nesterov};
  const bool vectors =
      aligned(s.grad) && aligned(s.weight) && aligned(s.velocity) && aligned(s.copy);
  for_own_elements(part, vectors,
                   [&](auto i, auto n) { update_vector<n.value, Copy>(update, s, i); });
}

void step(Context& ctx, const SgdSpec& spec, const void* lr, const void* skip,
          std::span<const SgdSegment> segments) {
  by_dtype(spec.copy, [&](auto t) {
    using Copy = decltype(t);
    const auto kernel =
        spec.trust_coefficient > 0 ? step_kernel<Copy, true> : step_kernel<Copy, false>;
    launch_elements(ctx, "sgd", segments, kernel, spec, as<float>(lr), as<std::int32_t>(skip));
  });
}

}  // namespace

const SgdKernels HAC_GPU_TABLE(sgd){.step = step};

}  // namespace hac
