#include "kernels/cpu/loop.h"
#include "kernels/ops/mixup.h"

namespace hac {
namespace {

template <class T>
void mix(const MixupSpec& s, const Mixing& m, T* all) {
  const bool everywhere = m.top <= 0 && m.left <= 0 && m.bottom >= s.height && m.right >= s.width;
  const auto inside = [&](std::int64_t element) {
    const std::int64_t pixel = element / s.block % (s.height * s.width);
    const std::int64_t y = pixel / s.width, x = pixel % s.width;
    return y >= m.top && y < m.bottom && x >= m.left && x < m.right;
  };
#pragma omp parallel for schedule(static) if (s.n * s.elements > cpu::serial_elements)
  for (std::int64_t i = 0; i < s.n / 2; ++i) {
    T *a = all + i * s.elements, *b = all + (s.n - 1 - i) * s.elements;
    const auto mix_element = [&](std::int64_t j) {
      const float left = to_float(a[j]), right = to_float(b[j]);
      a[j] = from_float<T>(m.inside * left + (1 - m.inside) * right);
      b[j] = from_float<T>(m.inside * right + (1 - m.inside) * left);
    };
    if (everywhere) {
      for (std::int64_t j = 0; j < s.elements; ++j) mix_element(j);
    } else {
      for (std::int64_t j = 0; j < s.elements; ++j) {
        if (inside(j)) mix_element(j);
      }
    }
  }
}

void images(Context& ctx, const MixupSpec& s, const void* mixing, void* x) {
  cpu::by_type(ctx, s, [&]<class T>(T) { mix(s, *as<Mixing>(mixing), as<T>(x)); });
}

void targets(Context&, const MixupSpec& s, const void* mixing, const void* labels, void* soft) {
  const float lambda = as<Mixing>(mixing)->target;
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
