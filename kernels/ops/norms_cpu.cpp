#include <algorithm>

#include "kernels/cpu/loop.h"
#include "kernels/ops/norms.h"

namespace hac {
namespace {

double sum_of_squares(const float* x, std::int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

double squares_of(Context& ctx, const NormSegment& s) {
  const float* x = as<float>(s.values);
  const std::int64_t n = s.elements, blocks = (n + norm_block - 1) / norm_block;
  double* partial = as<double>(ctx.scratch(blocks * sizeof(double)));
#pragma omp parallel for schedule(static) if (n > cpu::serial_elements)
  for (std::int64_t b = 0; b < blocks; ++b) {
    const std::int64_t begin = b * norm_block;
    partial[b] = sum_of_squares(x + begin, std::min(norm_block, n - begin));
  }
  double sum = 0;
  for (std::int64_t b = 0; b < blocks; ++b) sum += partial[b];
  return sum;
}

void squares(Context& ctx, const NormSpec&, void* squares, std::span<const NormSegment> segments) {
  double* sums = as<double>(squares);
  for (std::size_t i = 0; i < segments.size(); ++i) sums[i] = squares_of(ctx, segments[i]);
}

void multiply(const GradSegment& s, float factor) {
  float* g = as<float>(s.grad);
  const std::int64_t n = s.elements;
#pragma omp parallel for simd schedule(static) if (parallel : n > cpu::serial_elements)
  for (std::int64_t i = 0; i < n; ++i) g[i] *= factor;
}

void clip(Context&, const NormSpec& spec, const void* squares,
          std::span<const GradSegment> segments) {
  const double* sums = as<double>(squares);
  double sum = 0;
  for (std::int64_t i = 0; i < spec.tensors; ++i) sum += sums[i];
  const float factor = clip_factor(sum, spec.max_norm);
  if (factor == 1) return;
  for (const GradSegment& s : segments) multiply(s, factor);
}

}  // namespace

HAC_CPU_TABLE(NormKernels, norm_cpu, {.squares = squares, .clip = clip})

}  // namespace hac
