#include "kernels/cpu/loop.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/lars.h"

namespace hac {
namespace {

void update_all(const LarsUpdate& update, const LarsSegment& s) {
  const float* dw = as<float>(s.grad);
  float *w = as<float>(s.weight), *v = as<float>(s.velocity);
  const std::int64_t n = s.elements;
#pragma omp parallel for simd schedule(static) if (parallel : n > cpu::serial_elements)
  for (std::int64_t i = 0; i < n; ++i) update(dw[i], w[i], v[i]);
}

void step(Context& ctx, const LarsSpec& spec, const void* lr, const void* skip,
          std::span<const LarsSegment> segments) {
  if (skip && *as<std::int32_t>(skip) != 0) return;
  for (const LarsSegment& s : segments) {
    const float decay = s.decays ? spec.weight_decay : 0;
    const double* squares = as<double>(s.squares);
    const float trust = squares ? lars_trust(spec, decay, squares[0], squares[1]) : 1;
    update_all({*as<float>(lr), spec.momentum, decay, trust, spec.nesterov}, s);
    if (!s.copy) continue;
    cast_cpu.apply(ctx, {.to = spec.copy, .elements = s.elements}, s.weight, s.copy);
  }
}

}  // namespace

HAC_CPU_TABLE(LarsKernels, lars_cpu, {.step = step})

}  // namespace hac
