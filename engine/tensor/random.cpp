#include "engine/tensor/random.h"

#include "kernels/core/random.h"

namespace hac {
namespace {

constexpr std::int64_t parallel_above = 10000;  // a number costs some 50 ns

// Numbers are drawn on the host, so that a network starts the same on every device.
template <class Draw>
void fill_by(const Tensor& t, Draw draw) {
  const bool there = t.device().kind == DeviceKind::cpu;
  const Tensor host = there ? t : Tensor::empty(t.shape(), t.dtype(), {}, t.layout());
  float* x = host.as<float>();
  const std::int64_t n = t.numel();
#pragma omp parallel for schedule(static) if (n > parallel_above)
  for (std::int64_t i = 0; i < n; ++i) x[i] = draw(i);
  if (!there) t.copy_from(host);
}

}  // namespace

void fill(const Tensor& t, float value) {
  fill_by(t, [=](std::int64_t) { return value; });
}

void fill_normal(const Tensor& t, std::uint64_t seed, std::string_view name, double std) {
  const Philox rng{seed, streams::parameter(name)};
  fill_by(t, [=](std::int64_t i) { return static_cast<float>(std) * rng.normal(i); });
}

void fill_uniform(const Tensor& t, std::uint64_t seed, std::string_view name, double bound) {
  const Philox rng{seed, streams::parameter(name)};
  fill_by(t, [=](std::int64_t i) { return static_cast<float>(bound) * (2 * rng.uniform(i) - 1); });
}

}  // namespace hac
