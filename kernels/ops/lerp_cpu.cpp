#include "kernels/cpu/loop.h"
#include "kernels/ops/lerp.h"

namespace hac {
namespace {

void apply(Context&, const LerpSpec& spec, std::span<const LerpSegment> segments) {
  for (const LerpSegment& s : segments) {
    const float* x = as<float>(s.x);
    float* y = as<float>(s.y);
    const float weight = spec.weight;
    const std::int64_t n = s.elements;
#pragma omp parallel for simd schedule(static) if (parallel : n > cpu::serial_elements)
    for (std::int64_t i = 0; i < n; ++i) y[i] = lerp(y[i], x[i], weight);
  }
}

}  // namespace

HAC_CPU_TABLE(LerpKernels, lerp_cpu, {.apply = apply})

}  // namespace hac
