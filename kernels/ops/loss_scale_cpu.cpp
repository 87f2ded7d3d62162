#include <cmath>

#include "kernels/cpu/loop.h"
#include "kernels/ops/loss_scale.h"

namespace hac {
namespace {

bool divide(const GradSegment& s, float factor) {
  float* g = as<float>(s.grad);
  const std::int64_t n = s.elements;
  int bad = 0;
#pragma omp parallel for schedule(static) reduction(| : bad) if (n > cpu::serial_elements)
  for (std::int64_t i = 0; i < n; ++i) {
    bad |= !std::isfinite(g[i]);
    g[i] *= factor;
  }
  return bad == 0;
}

void unscale(Context&, const LossScaleSpec&, const void* scale, void* counts,
             std::span<const GradSegment> segments) {
  const float factor = 1 / *as<float>(scale);
  for (const GradSegment& s : segments) {
    if (!divide(s, factor)) as<std::int32_t>(counts)[0] = 1;
  }
}

void update(Context&, const LossScaleSpec& spec, void* scale, void* counts) {
  float& s = *as<float>(scale);
  std::int32_t* c = as<std::int32_t>(counts);
  const LossScaleRule next = next_loss_scale(spec, {s, c[0], c[1], c[2]});
  s = next.scale;
  c[0] = next.bad;
  c[1] = next.good;
  c[2] = next.skipped;
}

}  // namespace

HAC_CPU_TABLE(LossScaleKernels, loss_scale_cpu, {.unscale = unscale, .update = update})

}  // namespace hac
