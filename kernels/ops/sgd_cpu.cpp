#include "kernels/cpu/loop.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/sgd.h"

namespace hac {
namespace {

template <bool adapts>
void update(const SgdSpec& s, float lr, float decay, float trust, const SgdSegment& segment) {
  const float* dw = as<float>(segment.grad);
  float* w = as<float>(segment.weight);
  float* v = as<float>(segment.velocity);
  const std::int64_t n = segment.elements;
  const SgdUpdate<adapts> step{lr, s.momentum, decay, trust, s.nesterov};
#pragma omp parallel for simd schedule(static) if (parallel : n > cpu::serial_elements)
  for (std::int64_t i = 0; i < n; ++i) step(dw[i], w[i], v[i]);
}

void step(Context& ctx, const SgdSpec& s, const void* lr, const void* skip,
          std::span<const SgdSegment> segments) {
  if (skip && *as<std::int32_t>(skip) != 0) return;
  const float rate = *as<float>(lr);
  for (const SgdSegment& segment : segments) {
    const float decay = segment.decays ? s.weight_decay : 0;
    if (const double* squares = as<double>(segment.squares)) {
      update<true>(s, rate, decay, sgd_trust(s, decay, squares[0], squares[1]), segment);
    } else {
      update<false>(s, rate, decay, 1, segment);
    }
    if (!segment.copy) continue;
    cast_cpu.apply(ctx, {.to = s.copy, .elements = segment.elements}, segment.weight, segment.copy);
  }
}

}  // namespace

HAC_CPU_TABLE(SgdKernels, sgd_cpu, {.step = step})

}  // namespace hac
