#include <gtest/gtest.h>

#include <cmath>

#include "engine/optim/schedule.h"

namespace hac {
namespace {

constexpr std::int64_t steps = 10;  // an epoch

double at(const ScheduleConfig& config, std::int64_t step, std::int64_t epochs) {
  return learning_rate(config, step, steps, epochs);
}

TEST(Schedule, ConstantStays) {
  const ScheduleConfig config{.kind = ScheduleKind::constant, .lr = 0.3};
  EXPECT_EQ(at(config, 0, 5), 0.3);
  EXPECT_EQ(at(config, 49, 5), 0.3);
}

// The paper's CIFAR schedule: divided by 10 at epochs 100, 200 and 250 of 300.
TEST(Schedule, StepDividesAtTheMilestones) {
  const ScheduleConfig config{.kind = ScheduleKind::step, .lr = 0.1};
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
  const ScheduleConfig config{.kind = ScheduleKind::exponential, .lr = 0.1, .beta = 0.02};
  EXPECT_DOUBLE_EQ(at(config, 0, 90), 0.1);
  EXPECT_EQ(at(config, 45 * steps, 90), at(config, 45 * steps + steps - 1, 90));
  EXPECT_DOUBLE_EQ(at(config, 45 * steps, 90), 0.1 * std::sqrt(0.02));
  EXPECT_DOUBLE_EQ(at(config, 90 * steps, 90), 0.1 * 0.02);
}

TEST(Schedule, CosineFallsPerStepToZero) {
  const ScheduleConfig config{.kind = ScheduleKind::cosine, .lr = 0.2};
  EXPECT_DOUBLE_EQ(at(config, 0, 4), 0.2);
  EXPECT_DOUBLE_EQ(at(config, 20, 4), 0.1);
  EXPECT_NEAR(at(config, 10, 4), 0.2 * (1 + std::sqrt(0.5)) / 2, 1e-15);
  EXPECT_NEAR(at(config, 40, 4), 0, 1e-15);
  EXPECT_NEAR(at(config, 50, 4), 0, 1e-15);
  for (int s = 1; s < 40; ++s) EXPECT_LT(at(config, s, 4), at(config, s - 1, 4));
}

TEST(Schedule, WarmupRisesLinearlyThenMeetsTheSchedule) {
  const ScheduleConfig config{.kind = ScheduleKind::constant, .lr = 0.4, .warmup = 2};
  EXPECT_DOUBLE_EQ(at(config, 0, 5), 0.4 / 20);
  EXPECT_DOUBLE_EQ(at(config, 9, 5), 0.4 * 10 / 20);
  EXPECT_DOUBLE_EQ(at(config, 19, 5), 0.4);
  EXPECT_DOUBLE_EQ(at(config, 20, 5), 0.4);
  const ScheduleConfig half{.kind = ScheduleKind::constant, .lr = 0.4, .warmup = 0.5};
  EXPECT_DOUBLE_EQ(at(half, 0, 5), 0.4 / 5);
  EXPECT_DOUBLE_EQ(at(half, 4, 5), 0.4);
  const ScheduleConfig cosine{
      .kind = ScheduleKind::cosine, .lr = 0.4, .warmup = 1, .warmup_style = WarmupStyle::multiply};
  ScheduleConfig cold = cosine;
  cold.warmup = 0;
  EXPECT_DOUBLE_EQ(at(cosine, 3, 5), at(cold, 3, 5) * 4 / 10);
}

// Printed by PyTorch 2 in double precision, 3 epochs of 4 steps, warm-up over W = 4 of them:
//   SequentialLR(o, [LinearLR(o, 1/W, total_iters=W-1), CosineAnnealingLR(o, 12-W)], [W])
// tests/models/pytorch_reference.py compares the other kinds too, where PyTorch is installed.
TEST(Schedule, PrefixWarmupIsPyTorchsSequentialLr) {
  const ScheduleConfig config{.kind = ScheduleKind::cosine, .lr = 0.4, .warmup = 1};
  const double expected[] = {0.1000000000000000, 0.2000000000000000, 0.3000000000000000,
                             0.4000000000000000, 0.4000000000000000, 0.3847759065022573,
                             0.3414213562373095, 0.2765366864730180, 0.2000000000000000,
                             0.1234633135269821, 0.0585786437626905, 0.0152240934977427};
  for (std::int64_t s = 0; s < 12; ++s) {
    EXPECT_NEAR(learning_rate(config, s, 4, 3), expected[s], 1e-15) << "step " << s;
  }
}

// By hand: the decay counts from the end of the warm-up, milestones from the start of the run.
TEST(Schedule, EveryDecayStartsAtTheFullRateAfterAPrefix) {
  for (const double warmup : {0.5, 1., 2.}) {
    for (const ScheduleKind kind : {ScheduleKind::constant, ScheduleKind::step,
                                    ScheduleKind::exponential, ScheduleKind::cosine}) {
      const ScheduleConfig config{.kind = kind, .lr = 0.4, .warmup = warmup, .milestones = {3, 4}};
      const auto end = static_cast<std::int64_t>(warmup * steps);
      EXPECT_DOUBLE_EQ(at(config, 0, 5), 0.4 / static_cast<double>(end)) << to_string(kind);
      for (std::int64_t s = 1; s < end; ++s) EXPECT_GT(at(config, s, 5), at(config, s - 1, 5));
      EXPECT_DOUBLE_EQ(at(config, end - 1, 5), 0.4) << to_string(kind);
      EXPECT_DOUBLE_EQ(at(config, end, 5), 0.4) << to_string(kind);
      for (std::int64_t s = end + 1; s < 50; ++s) EXPECT_LE(at(config, s, 5), at(config, s - 1, 5));
    }
  }
  const ScheduleConfig paper{.kind = ScheduleKind::exponential, .lr = 2, .warmup = 5};
  EXPECT_DOUBLE_EQ(at(paper, 52 * steps + 5, 100), 2 * std::pow(0.02, 47. / 95));
  EXPECT_DOUBLE_EQ(at(paper, 100 * steps, 100), 2 * 0.02);
  const ScheduleConfig divided{.kind = ScheduleKind::step, .lr = 0.1, .warmup = 5};
  EXPECT_DOUBLE_EQ(at(divided, 100 * steps - 1, 300), 0.1);
  EXPECT_DOUBLE_EQ(at(divided, 100 * steps, 300), 0.01);
  const ScheduleConfig all{
      .kind = ScheduleKind::cosine, .lr = 0.4, .warmup = 9};  // longer than the run
  EXPECT_DOUBLE_EQ(at(all, 49, 5), 0.4 * 50 / 90);
}

TEST(Schedule, AnEmptyRunStillHasARate) {
  EXPECT_EQ(learning_rate({.kind = ScheduleKind::cosine, .lr = 0.2}, 0, 0, 0), 0.2);
}

}  // namespace
}  // namespace hac
