// All gradients in one launch, as in sgd_cuda.cu. Bytes a parameter: 4 read, 4 written.

#include <cfloat>

#include "kernels/device/segments.cuh"
#include "kernels/ops/loss_scale.h"

namespace hac {
namespace HAC_GPU {
namespace {

constexpr int threads = 256, elements_a_block = 4 * 4 * threads;

// False if one of the numbers is not finite.
template <int N>
__device__ bool divide(float* grad, float factor) {
  Floats<N> g = load_floats<N>(static_cast<const float*>(grad));
  bool finite = true;
  for (int j = 0; j < N; ++j) {
    finite = finite && fabsf(g.v[j]) <= FLT_MAX;  // false for a NaN
    g.v[j] *= factor;
  }
  store_floats<N>(grad, g);
  return finite;
}

// Whoever meets a bad number writes the same 1.
__global__ void unscale_kernel(Segments<GradSegment> segments, const float* scale,
                               std::int32_t* counts) {
  const int which = segments.of_block(blockIdx.x);
  const GradSegment& s = segments.segment[which];
  float* grad = static_cast<float*>(s.grad);
  const float factor = 1.f / load(scale);
  const std::int64_t begin =
      (static_cast<std::int64_t>(blockIdx.x) - segments.first[which]) * elements_a_block;
  const std::int64_t end =
      begin + elements_a_block < s.elements ? begin + elements_a_block : s.elements;
  bool finite = true;
  for (std::int64_t i = begin + threadIdx.x * 4; i < end; i += threads * 4) {
    if (aligned(grad) && i + 4 <= end) {
      finite = divide<4>(grad + i, factor) && finite;
    } else {
      for (std::int64_t k = i; k < end && k < i + 4; ++k) {
        finite = divide<1>(grad + k, factor) && finite;
      }
    }
  }
  if (!finite) store(counts, std::int32_t{1});
}

void unscale(Context& ctx, const LossScaleSpec&, const void* scale, void* counts,
             std::span<const GradSegment> segments) {
  launch_segments(
      ctx, {.name = "unscale", .block = threads, .barriers = false}, segments,
      [](const GradSegment& s) { return ceil_div(s.elements, elements_a_block); }, unscale_kernel,
      static_cast<const float*>(scale), static_cast<std::int32_t*>(counts));
}

__global__ void update_kernel(LossScaleSpec spec, float* scale, std::int32_t* counts) {
  const LossScaleRule next =
      next_loss_scale(spec, {load(scale), load(counts), load(counts + 1), load(counts + 2)});
  store(scale, next.scale);
  store(counts, next.bad);
  store(counts + 1, next.good);
  store(counts + 2, next.skipped);
}

void update(Context& ctx, const LossScaleSpec& spec, void* scale, void* counts) {
  launch(ctx, {.name = "loss_scale", .block = 1, .barriers = false}, update_kernel, spec,
         static_cast<float*>(scale), static_cast<std::int32_t*>(counts));
}

}  // namespace
}  // namespace HAC_GPU

const LossScaleKernels HAC_GPU_TABLE(loss_scale){.unscale = HAC_GPU::unscale,
                                                 .update = HAC_GPU::update};

}  // namespace hac
