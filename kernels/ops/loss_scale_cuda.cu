// All gradients in one launch, as in sgd_cuda.cu. Bytes a parameter: 4 read (2 of a
// 16-bit gradient), 4 written.

#include <cfloat>

#include "kernels/device/segments.cuh"
#include "kernels/ops/loss_scale.h"

namespace hac {
namespace {

using namespace HAC_GPU;

// False if one of the numbers is not finite.
template <int N>
__device__ bool divide(const GradSegment& s, std::int64_t i, float factor) {
  float* grad = as<float>(s.grad);
  Floats<N> g = s.rounded ? load_gradient<N>(s.rounded, s.dtype, i) : load_floats<N>(grad + i);
  bool finite = true;
  for (int j = 0; j < N; ++j) {
    finite = finite && fabsf(g.v[j]) <= FLT_MAX;  // false for a NaN
    g.v[j] *= factor;
  }
  store_floats<N>(grad + i, g);
  return finite;
}

// Whoever meets a bad number writes the same 1.
__global__ void unscale_kernel(Segments<GradSegment> segments, const float* scale,
                               std::int32_t* counts) {
  wait_for_previous();
  const auto part = segments.part_of(blockIdx.x);
  const GradSegment& s = part.segment;
  const float factor = 1.f / load(scale);
  bool finite = true;
  for_own_elements(part, aligned(s.grad) && aligned(s.rounded),
                   [&](auto i, auto n) { finite = divide<n.value>(s, i, factor) && finite; });
  if (!finite) store(counts, std::int32_t{1});
}

void unscale(Context& ctx, const LossScaleSpec&, const void* scale, void* counts,
             std::span<const GradSegment> segments) {
  launch_elements(ctx, "unscale", segments, unscale_kernel, as<float>(scale),
                  as<std::int32_t>(counts));
}

__global__ void update_kernel(LossScaleSpec spec, float* scale, std::int32_t* counts) {
  wait_for_previous();
  const LossScaleRule next =
      next_loss_scale(spec, {load(scale), load(counts), load(counts + 1), load(counts + 2)});
  store(scale, next.scale);
  store(counts, next.bad);
  store(counts + 1, next.good);
  store(counts + 2, next.skipped);
}

void update(Context& ctx, const LossScaleSpec& spec, void* scale, void* counts) {
  launch(ctx, {.name = "loss_scale", .block = 1, .barriers = false}, update_kernel, spec,
         as<float>(scale), as<std::int32_t>(counts));
}

}  // namespace

const LossScaleKernels HAC_GPU_TABLE(loss_scale){.unscale = unscale, .update = update};

}  // namespace hac
