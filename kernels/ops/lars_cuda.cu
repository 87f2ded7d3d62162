// All parameters in one launch (64 a launch, exactly). Bytes a parameter: 12 read, 8 written, and 2
// for a 16-bit copy.

#include "kernels/ops/lars.h"

#include "kernels/device/segments.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

template <int N, class Copy>
__device__ void update_vector(const LarsUpdate& update, const LarsSegment& s, std::int64_t i) {
  float *w = as<float>(s.weight) + i, *v = as<float>(s.velocity) + i;
  const Floats<N> grad = load_floats<N>(as<float>(s.grad) + i);
  Floats<N> weight = load_floats<N>(w), velocity = load_floats<N>(v);
  for (int j = 0; j < N; ++j) update(grad.v[j], weight.v[j], velocity.v[j]);
  store_floats<N>(w, weight);
  store_floats<N>(v, velocity);
  if (s.copy) store_floats<N>(as<Copy>(s.copy) + i, weight);
}

template <class Copy>
__global__ void step_kernel(Segments<LarsSegment> segments, LarsSpec spec, const float* lr,
                            const std::int32_t* skip) {
  if (skip && load(skip) != 0) return;
  const auto part = segments.part_of(blockIdx.x);
  const LarsSegment& s = part.segment;
  const float decay = s.decays ? spec.weight_decay : 0.f;
  const double* squares = as<double>(s.squares);
  const float trust = squares ? lars_trust(spec, decay, load(squares), load(squares + 1)) : 1.f;
  const LarsUpdate update{load(lr), spec.momentum, decay, trust, spec.nesterov};
  const bool vectors =
      aligned(s.grad) && aligned(s.weight) && aligned(s.velocity) && aligned(s.copy);
  for_own_elements(part, vectors,
                   [&](auto i, auto n) { update_vector<n.value, Copy>(update, s, i); });
}

void step(Context& ctx, const LarsSpec& spec, const void* lr, const void* skip,
          std::span<const LarsSegment> segments) {
  by_dtype(spec.copy, [&](auto t) {
    launch_elements(ctx, "lars", segments, step_kernel<decltype(t)>, spec, as<float>(lr),
                    as<std::int32_t>(skip));
  });
}

}  // namespace

const LarsKernels HAC_GPU_TABLE(lars){.step = step};

}  // namespace hac
