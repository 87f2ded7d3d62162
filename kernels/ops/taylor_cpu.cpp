#include "kernels/cpu/loop.h"
#include "kernels/ops/taylor.h"

namespace hac {
namespace {

// A fixed number of partial sums, added in a fixed order: fast and still repeatable.
constexpr int lanes = 8;

double kernel_score(const float* w, const float* dw, std::int64_t count) {
  double sum[lanes] = {};
  const auto term = [=](std::int64_t i) {
    const double t = double{w[i]} * dw[i];
    return t * t;
  };
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (int lane = 0; lane < lanes; ++lane) sum[lane] += term(i + lane);
  for (int lane = 0; i < count; ++i, ++lane) sum[lane] += term(i);
  double total = 0;
  for (const double part : sum) total += part;
  return total;
}

void accumulate(Context&, const TaylorSpec&, const void* skip,
                std::span<const TaylorSegment> segments) {
  if (skip && *as<std::int32_t>(skip) != 0) return;
  for (const TaylorSegment& s : segments) {
    const float* w = as<float>(s.w);
    const float* dw = as<float>(s.dw);
    double* score = as<double>(s.score);
#pragma omp parallel for schedule(static) if (s.kernels * s.weights > cpu::serial_elements)
    for (std::int64_t k = 0; k < s.kernels; ++k)
      score[k] += kernel_score(w + k * s.weights, dw + k * s.weights, s.weights);
  }
}

}  // namespace

HAC_CPU_TABLE(TaylorKernels, taylor_cpu, {.accumulate = accumulate})

}  // namespace hac
