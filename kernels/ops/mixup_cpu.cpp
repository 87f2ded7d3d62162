#include "kernels/cpu/loop.h"
#include "kernels/ops/mixup.h"

namespace hac {
namespace {

template <class T>
void mix(const MixupSpec& s, float lambda, T* all) {
#pragma omp parallel for schedule(static) if (s.n * s.elements > cpu::serial_elements)
  for (std::int64_t i = 0; i < s.n / 2; ++i) {
    T *a = all + i * s.elements, *b = all + (s.n - 1 - i) * s.elements;
    for (std::int64_t j = 0; j < s.elements; ++j) {
      const float left = to_float(a[j]), right = to_float(b[j]);
      a[j] = from_float<T>(lambda * left + (1 - lambda) * right);
      b[j] = from_float<T>(lambda * right + (1 - lambda) * left);
    }
  }
}

void images(Context& ctx, const MixupSpec& s, const void* lambda, void* x) {
  cpu::by_type(ctx, s, [&]<class T>(T) { mix(s, *as<float>(lambda), as<T>(x)); });
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
