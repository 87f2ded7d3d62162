#include <cmath>
#include <limits>

#include "kernels/cpu/loop.h"
#include "kernels/ops/predictions.h"

namespace hac {
namespace {

template <class T>
Prediction prediction(const T* x, std::int64_t classes, std::int32_t label) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const bool known = label >= 0 && label < classes;
  const float own = known ? to_float(x[label]) : nan;
  Prediction p{.label = label};
  float most = -std::numeric_limits<float>::infinity();
  for (std::int64_t j = 0; j < classes; ++j) {
    const float v = to_float(x[j]);
    p.rank += !(v < own || (v == own && j >= label));
    if (!(v > most)) continue;
    most = v;
    p.guess = static_cast<std::int32_t>(j);
  }
  double sum = 0, squares = 0;
  for (std::int64_t j = 0; j < classes; ++j) {
    const double e = std::exp(static_cast<double>(to_float(x[j])) - most);
    sum += e;
    squares += e * e;
  }
  const double below = static_cast<double>(own) - most;
  p.confidence = 1 / sum;
  p.loss = std::log(sum) - below;
  p.brier = squares / (sum * sum) - 2 * std::exp(below) / sum + 1;
  return p;
}

void write(Context& ctx, const PredictionsSpec& s, const void* logits, const void* labels,
           const void* first, void* predictions) {
  Prediction* rows = as<Prediction>(predictions) + *as<std::int64_t>(first);
  cpu::by_type(ctx, s, [&]<class T>(T) {
#pragma omp parallel for schedule(static) if (s.n * s.classes > cpu::serial_elements)
    for (std::int64_t i = 0; i < s.n; ++i)
      rows[i] = prediction(as<T>(logits) + i * s.classes, s.classes, as<std::int32_t>(labels)[i]);
  });
}

}  // namespace

HAC_CPU_TABLE(PredictionsKernels, predictions_cpu, {.write = write})

}  // namespace hac
