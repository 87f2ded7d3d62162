#include "kernels/cpu/loop.h"
#include "kernels/ops/adamw.h"
#include "kernels/ops/elementwise.h"

namespace hac {
namespace {

void update_all(const AdamWUpdate& update, const AdamWSegment& s) {
  const float* dw = as<float>(s.grad);
  float *w = as<float>(s.weight), *m = as<float>(s.first), *v = as<float>(s.second);
  const std::int64_t n = s.elements;
#pragma omp parallel for simd schedule(static) if (parallel : n > cpu::serial_elements)
  for (std::int64_t i = 0; i < n; ++i) update(dw[i], w[i], m[i], v[i]);
}

void step(Context& ctx, const AdamWSpec& spec, const void* lr, void* count, const void* skip,
          std::span<const AdamWSegment> segments) {
  if (skip && *as<std::int32_t>(skip) != 0) return;
  const std::int32_t t = ++*as<std::int32_t>(count);
  const float rate = *as<float>(lr);
  const AdamWFactors factors = adamw_factors(spec, rate, t);
  for (const AdamWSegment& s : segments) {
    update_all(adamw_update(spec, factors, rate, s.decays), s);
    if (!s.copy) continue;
    cast_cpu.apply(ctx, {.to = spec.copy, .elements = s.elements}, s.weight, s.copy);
  }
}

}  // namespace

HAC_CPU_TABLE(AdamWKernels, adamw_cpu, {.step = step})

}  // namespace hac
