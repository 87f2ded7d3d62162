// Recorded steps that run ahead of the host: settings of many written at once, sums read at the
// end. They ask nothing of the host in between, leave the bits of eager steps, and stop at a loss
// that is not finite.

#include <cmath>

#include "data/loader/make_loader.h"
#include "data/loader/mixup.h"
#include "engine/autograd/ops.h"
#include "engine/optim/sgd.h"
#include "kernels/ops/step_state.h"
#include "models/train/captured_step.h"
#include "models/train/evaluate.h"
#include "tests/support/op_test.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr std::uint64_t seed = 5;
constexpr std::int64_t batch = 4, classes = 4, side = 8;

Architecture network() {
  return {.name = "small",
          .channels = 3,
          .resolution = side,
          .classes = classes,
          .layers = {Conv{.name = "stem", .out = 6, .bias = true},
                     BatchNorm{.name = "norm", .activation = Activation::relu},
                     BasicBlock{.name = "block", .mid = 5, .out = 8, .stride = 2}, Pool{},
                     Flatten{}, Dropout{.p = 0.25f}, Linear{.name = "classifier"}}};
}

double rate(std::int64_t step) { return 0.1 / (1 + static_cast<double>(step)); }

// A training of one epoch, by planned steps or eagerly.
struct Training {
  Training(Dtype dtype, const std::function<Pipeline(const Preprocessing&)>& pipeline,
           std::int64_t steps, bool mixes, std::int64_t parts)
      : model(network(), seed, kSimt, dtype),
        sgd(model.parameters(), {}, dtype == Dtype::f16 ? 1024 : 0),
        mixing(to_tensor({}).to(kSimt)),
        mixes(mixes),
        parts(parts) {
    const DatasetPtr set = open_data({.name = "synthetic",
                                      .limit_train = steps * batch,
                                      .resolution = side,
                                      .classes = classes})
                               .train;
    loader = make_loader(set, {.batch = batch, .pipeline = pipeline, .seed = seed}, kSimt);
    loader->start(0);
  }

  StepBatch make() {
    const Batch made = loader->make();
    return {made.images, made.labels, mixes ? mixup(made, classes, mixing) : made.labels};
  }
  Mixing mixing_of(std::int64_t step) const {
    return mixes ? draw_mixing(1, 1, seed, step, side, side) : Mixing{};
  }

  void eager_step(std::int64_t step) {
    loader->advance();
    mixing.copy_from(to_tensor(mixing_of(step)));
    const StepBatch whole = make();
    const PartsDone done = batch_gradients(
        model, {.parts = parts}, whole, shard_of(batch, parts), sgd.loss_scale().seed(),
        [&](std::int64_t k) { model.set_step(step * parts + k); }, nullptr);
    double loss_of_step = 0;
    std::int64_t begin = 0;
    for (std::size_t k = 0; k < done.losses.size(); ++k) {
      loss_of_step += done.losses[k].item();
      const std::int64_t end = begin + done.probs[k].shape()[0];
      correct += count_in_top(done.probs[k], whole.labels.slice(begin, end), 1);
      begin = end;
    }
    loss = std::fma(loss_of_step, static_cast<double>(batch), loss);
    sgd.set_rate(rate(step));
    observe_and_update(model, sgd, nullptr);
  }

  std::vector<StepSettings> settings(std::int64_t first, std::int64_t last) const {
    std::vector<StepSettings> all;
    for (std::int64_t s = first; s < last; ++s) {
      all.push_back({rate(s), s, loader->position_of(s), mixing_of(s)});
    }
    return all;
  }

  Model model;
  Sgd sgd;
  Tensor mixing;
  bool mixes;
  std::int64_t parts;
  std::unique_ptr<BatchSource> loader;
  double loss = 0;
  std::int64_t correct = 0;
};

struct Case {
  const char* name;
  Dtype dtype = Dtype::f32;
  bool streamed = false, mixes = false;
  std::int64_t parts = 1;
};

class PlannedSteps : public testing::TestWithParam<Case> {};

TEST_P(PlannedSteps, AskNothingOfTheHostAndLeaveTheBitsOfEagerOnes) {
  const Case& c = GetParam();
  constexpr std::int64_t steps = 9;
  const auto pipeline = c.streamed ? random_resized_crop : standard_augmentation;
  Training eager(c.dtype, pipeline, steps, c.mixes, c.parts),
      ahead(c.dtype, pipeline, steps, c.mixes, c.parts);
  for (std::int64_t s = 0; s < steps; ++s) eager.eager_step(s);

  CapturedStep captured(ahead.model, ahead.sgd, {.parts = c.parts}, batch,
                        {ahead.loader->position(), ahead.mixing.data()});
  const auto make = [&] { return ahead.make(); };
  StepTotals totals;
  // Two windows; the first is left before it ends.
  const auto window = [&](std::int64_t first, std::int64_t planned, std::int64_t run) {
    const std::vector<StepSettings> settings = ahead.settings(first, first + planned);
    captured.plan(settings, totals.loss, totals.correct);
    for (std::int64_t s = 0; s < run; ++s) {
      const bool replays = captured.recorded();
      const std::int64_t before = simt::host_transfers();
      ASSERT_TRUE(ahead.loader->choose());
      captured.run_planned(make);
      EXPECT_TRUE(!replays || simt::host_transfers() == before) << "step " << first + s;
    }
    totals = captured.totals();
    EXPECT_EQ(totals.steps, run);
  };
  window(0, 5, 4);
  window(4, 5, 5);
  EXPECT_TRUE(captured.recorded());
  EXPECT_EQ(totals.loss, eager.loss);
  EXPECT_EQ(totals.correct, eager.correct);
  EXPECT_EQ(totals.broken, -1);
  expect_same_bits(numbers_of(ahead.model), numbers_of(eager.model));
}

INSTANTIATE_TEST_SUITE_P(Of, PlannedSteps,
                         testing::Values(Case{"resident"}, Case{"streamed", Dtype::f32, true},
                                         Case{"mixed", Dtype::bf16, false, true},
                                         Case{"streamed_and_mixed", Dtype::bf16, true, true},
                                         Case{"in_f16", Dtype::f16},
                                         Case{"in_parts", Dtype::f32, false, false, 2}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(PlannedStepsThatBreak, ChangeNothingFromThereOn) {
  constexpr std::int64_t steps = 7, broken = 3;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    Training run(dtype, standard_augmentation, steps, false, 1);
    std::vector<StepSettings> settings = run.settings(0, steps);
    settings[broken - 1].lr = std::numeric_limits<double>::infinity();
    CapturedStep captured(run.model, run.sgd, {}, batch, {run.loader->position()});
    captured.plan(settings, 0, 0);
    Numbers weights;
    for (std::int64_t s = 0; s < steps; ++s) {
      ASSERT_TRUE(run.loader->choose());
      captured.run_planned([&] { return run.make(); });
      if (s + 1 != broken) continue;
      for (const Parameter& p : run.model.parameters()) weights[p.name] = p.var.value().to_vector();
    }
    const StepTotals totals = captured.totals();
    EXPECT_EQ(totals.broken, broken);
    EXPECT_EQ(totals.steps, broken);
    EXPECT_TRUE(std::isfinite(totals.loss) && !std::isfinite(totals.parts));
    Numbers after;
    for (const Parameter& p : run.model.parameters()) after[p.name] = p.var.value().to_vector();
    expect_same_bits(after, weights);
  }
}

// In every order of threads; scores tie, are NaN, labels lie outside.
TEST(StepCount, CountsWhatTheHostCounts) {
  for (const Place& place : places()) {
    if (place.device.kind == DeviceKind::cpu || place.dtype != Dtype::f32) continue;
    const At order(place);
    for (const auto& [n, c] : {std::pair<int, int>{1, 2}, {8, 10}, {37, 33}, {300, 7}, {3, 1000}}) {
      std::vector<float> scores(n * c);
      std::vector<std::int32_t> labels(n);
      const Philox random{seed, 9};
      for (int i = 0; i < n * c; ++i) scores[i] = std::round(3 * random.normal(i));
      for (int i = 0; i < n; ++i) labels[i] = static_cast<std::int32_t>(i * 7 % c);
      for (int i = 0; i < n * c; i += 41) scores[i] = std::numeric_limits<float>::quiet_NaN();
      const Tensor probs = Tensor::from(scores, {n, c}), truth = Tensor::from(labels, {n});
      const StepTotals start{.loss = 2, .correct = 5, .steps = 1};
      const Tensor host = Tensor::empty({sizeof start}, Dtype::u8);
      std::memcpy(host.data(), &start, sizeof start);
      const Tensor totals = host.to(place.device);
      const Tensor loss = Tensor::from(std::vector<float>{0.5f}, {}).to(place.device);
      const StepCountSpec spec{.n = n, .classes = c, .images = n};
      const Tensor there = probs.to(place.device), truth_there = truth.to(place.device);
      step_state_kernels.run(&StepStateKernels::count, place.device, spec, there.data(),
                             truth_there.data(), loss.data(), totals.data());
      StepTotals got;
      const Tensor back = totals.to(Device{});
      std::memcpy(&got, back.data(), sizeof got);
      EXPECT_EQ(got.correct, 5 + count_in_top(probs, truth, 1)) << spec.str() << place.name;
      EXPECT_EQ(got.loss, 2 + 0.5 * n) << spec.str() << place.name;
      EXPECT_EQ(got.steps, 2) << spec.str() << place.name;
    }
  }
}

}  // namespace
}  // namespace hac
