// Whole trainings with each optimiser and all that belongs to it: captured steps end in the bits of
// eager ones, a resumed run in those of one that never stopped, and another optimiser's checkpoint
// is refused.

#include "models/train/train.h"
#include "tests/support/op_test.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr std::uint64_t kSeed = 4;

class OptimizerTraining : public testing::TestWithParam<OptimizerKind> {
 protected:
  // Batches of 8, 8 and 4.
  static TrainConfig config() {
    TrainConfig config = tiny_config(20, 8);
    config.epochs = 3;
    config.schedule = {.kind = ScheduleKind::exponential, .lr = 0.01, .warmup = 1};
    config.loss_scale = 0x1p20;  // some steps are left out
    config.optimizer = {.kind = GetParam(),
                        .trust_coefficient = 0.1,
                        .weight_decay = 0.01,
                        .weight_decay_on = WeightDecayOn::weights,
                        .clip_norm = 0.5};
    return config;
  }

  static Numbers trained(const TrainConfig& config, Device device, Dtype dtype) {
    Model model(tiny_net(), kSeed, device, dtype);
    train(model, open_data(config.data), config);
    return numbers_of(model);
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, OptimizerTraining,
                         testing::Values(OptimizerKind::sgd, OptimizerKind::adamw,
                                         OptimizerKind::lars),
                         [](const auto& info) { return to_string(info.param); });

TEST_P(OptimizerTraining, CapturedStepsEndInTheBitsOfEagerOnes) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f16}) {
    TrainConfig c = config();
    c.launch = LaunchMode::eager;
    const Numbers eager = trained(c, kSimt, dtype);
    c.launch = LaunchMode::graph;
    expect_same_bits(trained(c, kSimt, dtype), eager);
  }
}

TEST_P(OptimizerTraining, ResumesBitForBit) {
  for (const Device device : {Device{}, kSimt}) {
    const Dtype dtype = device == kSimt ? Dtype::f16 : Dtype::f32;
    const Numbers whole = trained(config(), device, dtype);
    const TempFolder folder;
    TrainConfig c = config();
    c.out = folder.file("run");
    c.max_steps = 4;
    trained(c, device, dtype);
    c.max_steps = -1;
    c.resume = true;
    expect_same_bits(trained(c, device, dtype), whole);
  }
}

TEST_P(OptimizerTraining, RefusesTheCheckpointOfAnother) {
  const TempFolder folder;
  TrainConfig c = config();
  c.out = folder.file("run");
  c.max_steps = 1;
  trained(c, {}, Dtype::f32);
  c.resume = true;
  c.optimizer.kind =
      GetParam() == OptimizerKind::adamw ? OptimizerKind::lars : OptimizerKind::adamw;
  EXPECT_ERROR(trained(c, {}, Dtype::f32), ConfigError, "optimizer", to_string(GetParam()));
}

TEST(OptimizerTraining, AdamWHasNoNesterov) {
  TrainConfig c;
  c.optimizer = {.kind = OptimizerKind::adamw, .nesterov = true};
  EXPECT_ERROR(validate(c), ConfigError, "'nesterov'", "adamw");
}

}  // namespace
}  // namespace hac
