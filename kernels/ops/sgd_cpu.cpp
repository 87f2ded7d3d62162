#include "kernels/cpu/loop.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/sgd.h"

namespace hac {
namespace {

void update(const SgdSpec& s, float lr, const SgdSegment& segment) {
  const float* dw = as<float>(segment.grad);
  float* w = as<float>(segment.weight);
  float* v = as<float>(segment.velocity);
  const std::int64_t n = segment.elements;
  const float momentum = s.momentum, decay = segment.decays ? s.weight_decay : 0;
  const bool nesterov = s.nesterov;
#pragma omp parallel for simd schedule(static) if (parallel : n > cpu::serial_elements)
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = dw[i] + decay * w[i];
    v[i] = momentum * v[i] + g;
    w[i] -= lr * (nesterov ? g + momentum * v[i] : v[i]);
  }
}

void step(Context& ctx, const SgdSpec& s, const void* lr, const void* skip,
          std::span<const SgdSegment> segments) {
  if (skip && *as<std::int32_t>(skip) != 0) return;
  for (const SgdSegment& segment : segments) {
    update(s, *as<float>(lr), segment);
    if (!segment.copy) continue;
    cast_cpu.apply(ctx, {.to = s.copy, .elements = segment.elements}, segment.weight, segment.copy);
  }
}

}  // namespace

HAC_CPU_TABLE(SgdKernels, sgd_cpu, {.step = step})

}  // namespace hac
