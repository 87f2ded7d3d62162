// One thread counts the step and makes its factors, then all parameters in one launch (64 a launch,
// exactly). Bytes a parameter: 16 read (14 with a 16-bit gradient), 12 written, and 2 for a 16-bit
// copy.

#include "kernels/ops/adamw.h"

#include "kernels/device/segments.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

__global__ void count_kernel(AdamWSpec spec, const float* lr, std::int32_t* count,
                             const std::int32_t* skip, float* factors) {
  wait_for_previous();
  if (skip && load(skip) != 0) return;
  const std::int32_t t = load(count) + 1;
  store(count, t);
  const AdamWFactors made = adamw_factors(spec, load(lr), t);
  store(factors, made.rate);
  store(factors + 1, made.scale);
}

template <int N, class Copy>
__device__ void update_vector(const AdamWUpdate& update, const AdamWSegment& s, std::int64_t i) {
  float *w = as<float>(s.weight) + i, *m = as<float>(s.first) + i, *v = as<float>(s.second) + i;
  const Floats<N> grad = load_gradient<N>(s.grad, s.grad_dtype, i);
  Floats<N> weight = load_floats<N>(w), first = load_floats<N>(m), second = load_floats<N>(v);
  for (int j = 0; j < N; ++j) update(grad.v[j], weight.v[j], first.v[j], second.v[j]);
  store_floats<N>(w, weight);
  store_floats<N>(m, first);
  store_floats<N>(v, second);
  if (s.copy) store_floats<N>(as<Copy>(s.copy) + i, weight);
}

template <class Copy>
__global__ void step_kernel(Segments<AdamWSegment> segments, AdamWSpec spec, const float* lr,
                            const std::int32_t* skip, const float* factors) {
  wait_for_previous();
  if (skip && load(skip) != 0) return;
  const auto part = segments.part_of(blockIdx.x);
  const AdamWSegment& s = part.segment;
  const AdamWUpdate update =
      adamw_update(spec, {load(factors), load(factors + 1)}, load(lr), s.decays);
  const bool vectors = aligned(s.grad) && aligned(s.weight) && aligned(s.first) &&
                       aligned(s.second) && aligned(s.copy);
  for_own_elements(part, vectors,
                   [&](auto i, auto n) { update_vector<n.value, Copy>(update, s, i); });
}

void step(Context& ctx, const AdamWSpec& spec, const void* lr, void* count, const void* skip,
          std::span<const AdamWSegment> segments) {
  float* factors = as<float>(ctx.scratch(2 * sizeof(float)));
  launch(ctx, {.name = "adamw_count", .block = 1, .barriers = false}, count_kernel, spec,
         as<float>(lr), as<std::int32_t>(count), as<std::int32_t>(skip), factors);
  by_dtype(spec.copy, [&](auto t) {
    launch_elements(ctx, "adamw", segments, step_kernel<decltype(t)>, spec, as<float>(lr),
                    as<std::int32_t>(skip), factors);
  });
}

}  // namespace

const AdamWKernels HAC_GPU_TABLE(adamw){.step = step};

}  // namespace hac
