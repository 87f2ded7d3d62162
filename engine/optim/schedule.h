#pragma once
// The learning rate as a pure function of the step.
//   constant     lr0
//   step         lr0 * gamma^(number of milestones passed); the paper: /10 at 100, 200, 250
//   exponential  lr0 * beta^(t / T)          (the paper's ImageNet schedule, beta = 0.02)
//   cosine       lr0 * (1 + cos(pi t / T)) / 2
// t counts epochs, T = total epochs; `step` and `exponential` change per epoch as the paper's do,
// cosine per step. Linear warm-up: lr * (step + 1) / warm-up steps during the first `warmup`
// epochs.

#include <cstdint>
#include <string>
#include <vector>

namespace hac {

struct ScheduleConfig {
  std::string kind = "constant";
  double lr = 0.1;
  double warmup = 0;  // epochs
  std::vector<double> milestones{100, 200, 250};
  double gamma = 0.1;  // step
  double beta = 0.02;  // exponential
  bool operator==(const ScheduleConfig&) const = default;
};

void validate(const ScheduleConfig& config);  // throws ConfigError

double learning_rate(const ScheduleConfig& config, std::int64_t step, std::int64_t steps_per_epoch,
                     std::int64_t epochs);

}  // namespace hac
