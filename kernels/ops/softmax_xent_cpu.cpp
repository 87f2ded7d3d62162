#include <algorithm>
#include <cmath>

#include "kernels/cpu/loop.h"
#include "kernels/ops/softmax_xent.h"

namespace hac {
namespace {

// One image's target distribution q, from a label or from soft probabilities.
struct Target {
  Target(const SoftmaxXentSpec& s, const void* target, std::int64_t row)
      : uniform(s.smoothing / static_cast<float>(s.classes)), kept(1.f - s.smoothing) {
    if (s.soft) {
      soft = as<float>(target) + row * s.classes;
    } else {
      label = as<std::int32_t>(target)[row];
    }
  }
  float at(std::int64_t j) const {
    const float t = soft ? soft[j] : (j == label ? 1.f : 0.f);
    return kept * t + uniform;
  }

  const float* soft = nullptr;
  std::int64_t label = -1;
  float uniform, kept;
};

// Writes the row's softmax and returns its loss.
double forward_row(std::int64_t classes, const Target& q, const float* x, float* p) {
  const float top = *std::max_element(x, x + classes);
  double sum = 0;
  for (std::int64_t j = 0; j < classes; ++j) {
    p[j] = std::exp(x[j] - top);
    sum += p[j];
  }
  const double log_sum = std::log(sum) + top;
  const auto inverse = static_cast<float>(1 / sum);
  double loss = 0;
  for (std::int64_t j = 0; j < classes; ++j) {
    p[j] *= inverse;
    loss += q.at(j) * (log_sum - x[j]);
  }
  return loss;
}

void forward(Context& ctx, const SoftmaxXentSpec& s, const void* logits, const void* target,
             void* probs, void* loss) {
  cpu::require_f32(ctx, s);
  if (!s.soft) s.check_labels(as<std::int32_t>(target));
  const float* x = as<float>(logits);
  float* p = as<float>(probs);
  double* row_loss = as<double>(ctx.scratch(s.n * sizeof(double)));
#pragma omp parallel for schedule(static) if (s.n * s.classes > cpu::serial_elements)
  for (std::int64_t i = 0; i < s.n; ++i)
    row_loss[i] =
        forward_row(s.classes, Target(s, target, i), x + i * s.classes, p + i * s.classes);
  double sum = 0;
  for (std::int64_t i = 0; i < s.n; ++i) sum += row_loss[i];
  *as<float>(loss) = static_cast<float>(sum / static_cast<double>(s.n));
}

void backward(Context& ctx, const SoftmaxXentSpec& s, const void* probs, const void* target,
              const void* dloss, void* dlogits) {
  cpu::require_f32(ctx, s);
  const float* p = as<float>(probs);
  float* dx = as<float>(dlogits);
  const float factor = *as<float>(dloss) / static_cast<float>(s.n);
#pragma omp parallel for schedule(static) if (s.n * s.classes > cpu::serial_elements)
  for (std::int64_t i = 0; i < s.n; ++i) {
    const Target q(s, target, i);
    double mass = 0;
    for (std::int64_t j = 0; j < s.classes; ++j) mass += q.at(j);
    const auto total = static_cast<float>(mass);
    for (std::int64_t j = i * s.classes, c = 0; c < s.classes; ++j, ++c)
      dx[j] = (p[j] * total - q.at(c)) * factor;
  }
}

}  // namespace

HAC_CPU_TABLE(SoftmaxXentKernels, softmax_xent_cpu, {.forward = forward, .backward = backward})

}  // namespace hac
