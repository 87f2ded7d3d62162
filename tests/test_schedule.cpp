#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/optim/schedule.h"
#include "kernels/error.h"

namespace hac {
namespace {

constexpr std::int64_t steps = 10;  // an epoch

double at(const ScheduleConfig& config, std::int64_t step, std::int64_t epochs) {
  return learning_rate(config, step, steps, epochs);
}

TEST(Schedule, ConstantStays) {
  const ScheduleConfig config{.kind = "constant", .lr = 0.3};
  EXPECT_EQ(at(config, 0, 5), 0.3);
  EXPECT_EQ(at(config, 49, 5), 0.3);
}

// The paper's CIFAR schedule: divided by 10 at epochs 100, 200 and 250 of 300.
TEST(Schedule, StepDividesAtTheMilestones) {
  const ScheduleConfig config{.kind = "step", .lr = 0.1};
  EXPECT_DOUBLE_EQ(at(config, 0, 300), 0.1);
  EXPECT_DOUBLE_EQ(at(config, 100 * steps - 1, 300), 0.1);
  EXPECT_DOUBLE_EQ(at(config, 100 * steps, 300), 0.01);
  EXPECT_DOUBLE_EQ(at(config, 200 * steps - 1, 300), 0.01);
  EXPECT_DOUBLE_EQ(at(config, 200 * steps, 300), 0.001);
  EXPECT_DOUBLE_EQ(at(config, 250 * steps, 300), 0.0001);
  EXPECT_DOUBLE_EQ(at(config, 300 * steps - 1, 300), 0.0001);
}

// lr_t = lr0 * beta^(t / T), once an epoch.
TEST(Schedule, ExponentialDecaysPerEpoch) {
  const ScheduleConfig config{.kind = "exponential", .lr = 0.1, .beta = 0.02};
  EXPECT_DOUBLE_EQ(at(config, 0, 90), 0.1);
  EXPECT_EQ(at(config, 45 * steps, 90), at(config, 45 * steps + steps - 1, 90));
  EXPECT_DOUBLE_EQ(at(config, 45 * steps, 90), 0.1 * std::sqrt(0.02));
  EXPECT_DOUBLE_EQ(at(config, 90 * steps, 90), 0.1 * 0.02);
}

TEST(Schedule, CosineFallsPerStepToZero) {
  const ScheduleConfig config{.kind = "cosine", .lr = 0.2};
  EXPECT_DOUBLE_EQ(at(config, 0, 4), 0.2);
  EXPECT_DOUBLE_EQ(at(config, 20, 4), 0.1);
  EXPECT_NEAR(at(config, 10, 4), 0.2 * (1 + std::sqrt(0.5)) / 2, 1e-15);
  EXPECT_NEAR(at(config, 40, 4), 0, 1e-15);
  EXPECT_NEAR(at(config, 50, 4), 0, 1e-15);
  for (int s = 1; s < 40; ++s) EXPECT_LT(at(config, s, 4), at(config, s - 1, 4));
}

TEST(Schedule, WarmupRisesLinearlyThenMeetsTheSchedule) {
  const ScheduleConfig config{.kind = "constant", .lr = 0.4, .warmup = 2};
  EXPECT_DOUBLE_EQ(at(config, 0, 5), 0.4 / 20);
  EXPECT_DOUBLE_EQ(at(config, 9, 5), 0.4 * 10 / 20);
  EXPECT_DOUBLE_EQ(at(config, 19, 5), 0.4);
  EXPECT_DOUBLE_EQ(at(config, 20, 5), 0.4);
  const ScheduleConfig half{.kind = "constant", .lr = 0.4, .warmup = 0.5};
  EXPECT_DOUBLE_EQ(at(half, 0, 5), 0.4 / 5);
  EXPECT_DOUBLE_EQ(at(half, 4, 5), 0.4);
  const ScheduleConfig cosine{.kind = "cosine", .lr = 0.4, .warmup = 1};
  ScheduleConfig cold = cosine;
  cold.warmup = 0;
  EXPECT_DOUBLE_EQ(at(cosine, 3, 5), at(cold, 3, 5) * 4 / 10);
}

TEST(Schedule, AnEmptyRunStillHasARate) {
  EXPECT_EQ(learning_rate({.kind = "cosine", .lr = 0.2}, 0, 0, 0), 0.2);
}

TEST(Schedule, RefusesWhatCannotBeMeant) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NO_THROW(validate({}));
  const ScheduleConfig bad[] = {{.kind = "linear"},
                                {.lr = -0.1},
                                {.lr = nan},
                                {.warmup = -1},
                                {.gamma = 0},
                                {.beta = 0},
                                {.milestones = {100, -3.}},
                                {.beta = nan},
                                {.milestones = {nan}}};
  for (const ScheduleConfig& config : bad) EXPECT_THROW(validate(config), ConfigError);
  EXPECT_THROW(learning_rate({.kind = "linear"}, 0, 1, 1), ConfigError);
}

}  // namespace
}  // namespace hac
