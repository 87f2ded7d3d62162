#include "kernels/cpu/loop.h"
#include "kernels/ops/mixup.h"

namespace hac {
namespace {

void images(Context& ctx, const MixupSpec& s, const void* share, void* x) {
  cpu::require_f32(ctx, s);
  float* all = as<float>(x);
  const float lambda = *as<float>(share);
#pragma omp parallel for schedule(static) if (s.n * s.elements > cpu::serial_elements)
  for (std::int64_t i = 0; i < s.n / 2; ++i) {
    float *a = all + i * s.elements, *b = all + (s.n - 1 - i) * s.elements;
    for (std::int64_t j = 0; j < s.elements; ++j) {
      const float left = a[j], right = b[j];
      a[j] = lambda * left + (1 - lambda) * right;
      b[j] = lambda * right + (1 - lambda) * left;
    }
  }
}

void targets(Context&, const MixupSpec& s, const void* share, const void* labels, void* soft) {
  const float lambda = *as<float>(share);
  const auto* label = as<std::int32_t>(labels);
  float* out = as<float>(soft);
  for (std::int64_t i = 0; i < s.n; ++i) {
    const std::int32_t own = label[i], other = label[s.n - 1 - i];
    for (std::int64_t j = 0; j < s.classes; ++j, ++out) {
      const float rest = j == other ? 1 - lambda : 0;
      *out = j == own ? (j == other ? 1 : lambda) : rest;
    }
  }
}

}  // namespace

HAC_CPU_TABLE(MixupKernels, mixup_cpu, {.images = images, .targets = targets})

}  // namespace hac
