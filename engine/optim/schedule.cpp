#include "engine/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace hac {
namespace {

// start: the epoch that the decay counts from.
double decay(const ScheduleConfig& config, std::int64_t step, std::int64_t steps_per_epoch,
             std::int64_t epochs, double start) {
  const auto epoch = static_cast<double>(step / steps_per_epoch);
  const auto share = [&](double t) {  // of the decay that is over
    const double length = static_cast<double>(epochs) - start;
    return length > 0 ? std::clamp((t - start) / length, 0., 1.) : 0.;
  };
  if (config.kind == ScheduleKind::step) {
    const auto passed = std::count_if(config.milestones.begin(), config.milestones.end(),
                                      [=](double m) { return epoch >= m; });
    return std::pow(config.gamma, static_cast<double>(passed));
  }
  if (config.kind == ScheduleKind::exponential) return std::pow(config.beta, share(epoch));
  if (config.kind == ScheduleKind::cosine) {
    const double t = static_cast<double>(step) / static_cast<double>(steps_per_epoch);
    return (1 + std::cos(std::numbers::pi * share(t))) / 2;
  }
  return 1;
}

}  // namespace

double learning_rate(const ScheduleConfig& config, std::int64_t step, std::int64_t steps_per_epoch,
                     std::int64_t epochs) {
  // A run of no epochs or of empty ones still has a rate to print.
  steps_per_epoch = std::max<std::int64_t>(1, steps_per_epoch);
  epochs = std::max<std::int64_t>(1, epochs);
  const double warmup_steps = std::round(config.warmup * static_cast<double>(steps_per_epoch));
  const double start = config.warmup_style == WarmupStyle::prefix
                           ? warmup_steps / static_cast<double>(steps_per_epoch)
                           : 0;
  const double lr = config.lr * decay(config, step, steps_per_epoch, epochs, start);
  const auto done = static_cast<double>(step + 1);
  return done < warmup_steps ? lr * done / warmup_steps : lr;
}

}  // namespace hac
