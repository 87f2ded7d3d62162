// All tensors in one launch (64 a launch, exactly). Bytes an element: 8 read, 4 written.

#include "kernels/ops/lerp.h"

#include "kernels/device/segments.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

template <int N>
__device__ void lerp_vector(const float* x, float* y, float weight) {
  const Floats<N> to = load_floats<N>(x);
  Floats<N> from = load_floats<N>(y);
  for (int j = 0; j < N; ++j) from.v[j] = lerp(from.v[j], to.v[j], weight);
  store_floats<N>(y, from);
}

__global__ void lerp_kernel(Segments<LerpSegment> segments, LerpSpec spec) {
  wait_for_previous();
  const auto part = segments.part_of(blockIdx.x);
  const float* x = as<float>(part.segment.x);
  float* y = as<float>(part.segment.y);
  for_own_elements(part, aligned(x) && aligned(y),
                   [&](auto i, auto n) { lerp_vector<n.value>(x + i, y + i, spec.weight); });
}

void apply(Context& ctx, const LerpSpec& spec, std::span<const LerpSegment> segments) {
  launch_elements(ctx, "lerp", segments, lerp_kernel, spec);
}

}  // namespace

const LerpKernels HAC_GPU_TABLE(lerp){.apply = apply};

}  // namespace hac
