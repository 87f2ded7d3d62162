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
template <class T>
double forward_row(std::int64_t classes, const Target& q, const T* x, float* p) {
  float top = to_float(x[0]);
  for (std::int64_t j = 1; j < classes; ++j) top = std::max(top, to_float(x[j]));
  double sum = 0;
  for (std::int64_t j = 0; j < classes; ++j) {
    p[j] = std::exp(to_float(x[j]) - top);
    sum += p[j];
  }
  const double log_sum = std::log(sum) + top;
  const auto inverse = static_cast<float>(1 / sum);
  double loss = 0;
  for (std::int64_t j = 0; j < classes; ++j) {
    p[j] *= inverse;
    loss += q.at(j) * (log_sum - to_float(x[j]));
  }
  return loss;
}

void forward(Context& ctx, const SoftmaxXentSpec& s, const void* logits, const void* target,
             void* probs, void* loss) {
  if (!s.soft) s.check_labels(as<std::int32_t>(target));
  float* p = as<float>(probs);
  double* row_loss = as<double>(ctx.scratch(s.n * sizeof(double)));
  cpu::by_type(ctx, s, [&]<class T>(T) {
#pragma omp parallel for schedule(static) if (s.n * s.classes > cpu::serial_elements)
    for (std::int64_t i = 0; i < s.n; ++i)
      row_loss[i] = forward_row(s.classes, Target(s, target, i), as<T>(logits) + i * s.classes,
                                p + i * s.classes);
  });
  double sum = 0;
  for (std::int64_t i = 0; i < s.n; ++i) sum += row_loss[i];
  *as<float>(loss) = static_cast<float>(sum / static_cast<double>(s.divisor()));
}

template <class T>
void backward_as(const SoftmaxXentSpec& s, const float* p, const void* target, float dloss, T* dx) {
  const float factor = dloss / static_cast<float>(s.divisor());
#pragma omp parallel for schedule(static) if (s.n * s.classes > cpu::serial_elements)
  for (std::int64_t i = 0; i < s.n; ++i) {
    const Target q(s, target, i);
    double mass = 0;
    for (std::int64_t j = 0; j < s.classes; ++j) mass += q.at(j);
    const auto total = static_cast<float>(mass);
    for (std::int64_t j = i * s.classes, c = 0; c < s.classes; ++j, ++c)
      dx[j] = from_float<T>((p[j] * total - q.at(c)) * factor);
  }
}

void backward(Context& ctx, const SoftmaxXentSpec& s, const void* probs, const void* target,
              const void* dloss, void* dlogits) {
  cpu::by_type(ctx, s, [&]<class T>(T) {
    backward_as(s, as<float>(probs), target, *as<float>(dloss), as<T>(dlogits));
  });
}

}  // namespace

HAC_CPU_TABLE(SoftmaxXentKernels, softmax_xent_cpu, {.forward = forward, .backward = backward})

}  // namespace hac
