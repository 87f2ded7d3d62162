// A recorded evaluation: the bits of an eager one, whatever lies in between, and no more transfers
// to and from the device however many batches there are.

#include <cstring>

#include "kernels/simt/recording.h"
#include "models/train/evaluate.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

DatasetPtr images(std::int64_t n) {
  TrainConfig config = tiny_config(8, 4);
  config.data.limit_test = n;
  return open_data(config.data).test;
}

void expect_same(const EvalResult& a, const EvalResult& b, const std::string& what) {
  EXPECT_EQ(a.loss, b.loss) << what;
  EXPECT_EQ(a.top1, b.top1) << what;
  EXPECT_EQ(a.top5, b.top5) << what;
  ASSERT_EQ(a.predictions->size(), b.predictions->size()) << what;
  const std::size_t bytes = a.predictions->size() * sizeof(Prediction);
  EXPECT_EQ(std::memcmp(a.predictions->data(), b.predictions->data(), bytes), 0) << what;
}

// From the second whole batch on; where no other follows nothing is recorded.
TEST(Evaluation, RecordedHasTheBitsOfAnEagerOne) {
  constexpr std::int64_t batch = 5;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
    Model model(tiny_net(), 3, kSimt, dtype);
    for (const auto& [n, replays] :
         {std::array{4, 0}, {8, 0}, {12, 0}, {16, 2}, {20, 3}, {36, 6}}) {
      const std::string what = std::string(name_of(dtype)) + ", " + std::to_string(n) + " images";
      const EvalResult eager = evaluate(model, images(n), {.batch = batch});
      EXPECT_EQ(eager.images, n);
      Evaluation recorded(model, images(n), {.batch = batch, .launch = LaunchMode::graph});
      for (int time = 0; time < 2; ++time) {
        const std::int64_t before = simt::replays();
        expect_same(recorded.run(), eager, what);
        EXPECT_EQ(simt::replays() - before, replays) << what;
      }
    }
  }
}

// In 16 bits images come padded and in that type; a given forward takes f32 ones: the same bits.
TEST(Evaluation, ReadsImagesAsTheNetworkDoes) {
  Model model(tiny_net(), 3, kSimt, Dtype::bf16);
  model.eval();
  EXPECT_EQ(model.image_layout(), Layout::blocked8);
  const auto forward = [&](const Tensor& batch) {
    EXPECT_EQ(batch.dtype(), Dtype::f32);
    return model.logits(batch).value();
  };
  expect_same(evaluate(model, images(20), {.batch = 8, .forward = forward}),
              evaluate(model, images(20), {.batch = 8}), "given");
}

// A set that is too large for the device's memory travels there batch by batch.
TEST(Evaluation, RecordedStreamsASetThatIsTooLarge) {
  Model model(tiny_net(), 3, kSimt);
  const EvalResult expected = evaluate(model, images(204), {.batch = 5});
  set_memory_limit(memory_stats(kSimt).in_use + memory_stats(kSimt).scratch + (400 << 10), kSimt);
  const std::int64_t before = simt::replays();
  const EvalResult got = evaluate(model, images(204), {.batch = 5, .launch = LaunchMode::graph});
  set_memory_limit(0, kSimt);
  EXPECT_EQ(simt::replays() - before, 39);
  EXPECT_EQ(got.images, 204);
  EXPECT_EQ(got.top1, expected.top1);
  EXPECT_NEAR(got.loss, expected.loss, 1e-5);
}

// Weights, statistics and scratch memory are another epoch's each time.
TEST(Evaluation, RecordedFollowsATraining) {
  TrainConfig config = tiny_config(24, 8);
  config.data.limit_test = 1100;  // batches of 256
  config.epochs = 3;
  config.ema = 0.5;
  const DataSplit data = open_data(config.data);
  TrainResult results[2];
  for (const LaunchMode launch : {LaunchMode::eager, LaunchMode::graph}) {
    config.launch = launch;
    Model model(tiny_net(), 3, kSimt);
    TrainResult& result = results[static_cast<int>(launch)];
    result = train(model, data, config);
    Evaluation again(model, data.test, {.launch = launch});
    expect_same(again.run(), result.test, to_string(launch) + ", afterwards");
  }
  expect_same(results[1].test, results[0].test, "test");
  EXPECT_EQ(results[1].plain.loss, results[0].plain.loss);
}

TEST(Evaluation, TransfersDoNotGrowWithItsBatches) {
  Model model(tiny_net(), 3, kSimt);
  std::vector<std::int64_t> counted;
  for (const std::int64_t batches : {4, 24}) {
    Evaluation evaluation(model, images(4 * batches), {.batch = 4, .launch = LaunchMode::graph});
    evaluation.run();  // the set moves to the device
    const std::int64_t before = simt::host_transfers();
    evaluation.run();
    counted.push_back(simt::host_transfers() - before);
  }
  EXPECT_EQ(counted[0], counted[1]);
  EXPECT_LE(counted[0], 12);
}

TEST(Evaluation, RecordedLeavesNoMemoryBehind) {
  Model model(tiny_net(), 3, kSimt);
  Evaluation evaluation(model, images(40), {.batch = 4, .launch = LaunchMode::graph});
  evaluation.run();
  const MemoryStats before = memory_stats(kSimt);
  evaluation.run();
  EXPECT_EQ(memory_stats(kSimt).in_use, before.in_use);
  EXPECT_EQ(memory_stats(kSimt).scratch, before.scratch);
}

// The first batch with a number that is not finite lies among those that are replayed.
TEST(Evaluation, RecordedNamesWhatBroke) {
  Model model(tiny_net(), 3, kSimt);
  for (const Parameter& p : model.parameters()) {
    if (p.name == "fc.bias")
      p.var.value().copy_from(
          Tensor::from(std::vector<float>{0, std::numeric_limits<float>::infinity(), 0, 0}, {4}));
  }
  EXPECT_ERROR(evaluate(model, images(40), {.batch = 4, .launch = LaunchMode::graph}), Error,
               "not finite in evaluation", "fc");
}

TEST(Evaluation, ADeviceThatDoesNotRecordSaysSo) {
  Model model(tiny_net(), 3);
  EXPECT_ERROR(evaluate(model, images(8), {.launch = LaunchMode::graph}), ConfigError,
               "launch 'graph'");
}

}  // namespace
}  // namespace hac
