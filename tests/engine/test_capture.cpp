// Captured work on the device that records closures: nothing runs until it is replayed, its memory
// stays its own, and a replayed step or inference leaves the bits of an eager one.

#include <cmath>

#include "data/loader/make_loader.h"
#include "data/loader/mixup.h"
#include "engine/autograd/ops.h"
#include "engine/optim/sgd.h"
#include "kernels/ops/elementwise.h"
#include "scaling/importance/importance.h"
#include "scaling/measure/measure.h"
#include "tests/support/observe.h"
#include "tests/support/places.h"
#include "tests/support/simt_fixtures.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr std::uint64_t kSeed = 5;

Tensor on_device(std::vector<float> values) {
  return Tensor::from(values, {std::ssize(values)}).to(kSimt);
}

void add(const Tensor& a, const Tensor& b, const Tensor& y) {
  add_kernels.run(&AddKernels::forward, kSimt, AddSpec{.shape = {a.numel()}}, a.data(), b.data(),
                  y.data());
}

// Work warmed up and recorded.
struct Recorded : Capture {
  explicit Recorded(const std::function<void()>& work) : Capture(kSimt) {
    warm_up(work);
    record(work);
  }
};

TEST(Capture, RunsNothingUntilItIsReplayedAndThenReadsWhatIsThere) {
  const Tensor x = on_device({1, 2}), sum = on_device({0, 0});
  const auto work = [&] { add(sum, x, sum); };
  Capture capture(kSimt);
  capture.warm_up(work);
  EXPECT_EQ(sum.to_vector(), (std::vector<float>{1, 2}));
  capture.record(work);
  EXPECT_EQ(sum.to_vector(), (std::vector<float>{1, 2})) << "recording ran the work";
  x.copy_from(Tensor::from(std::vector<float>{10, 20}, {2}));
  capture.replay();
  capture.replay();
  EXPECT_EQ(sum.to_vector(), (std::vector<float>{21, 42}));
}

TEST(Capture, ReplaysInOrder) {
  const Tensor x = on_device({3}), y = on_device({5}), z = on_device({7});
  const auto work = [&] {
    y.zero();
    add(x, y, y);
    z.copy_from(y);
    y.zero();
  };
  Capture capture(kSimt);
  capture.warm_up(work);
  z.zero();
  capture.record(work);
  EXPECT_EQ(z.item(), 0);
  capture.replay();
  EXPECT_EQ(z.item(), 3);
  EXPECT_EQ(y.item(), 0);
}

TEST(Capture, RefusesWhatTheHostWouldHaveToDo) {
  const Tensor x = on_device({1}), host = Tensor::zeros({1});
  Context& context = Context::current(kSimt);
  const auto expect_refused = [&](const std::string& call, const std::function<void()>& work) {
    Capture capture(kSimt);
    EXPECT_ERROR(capture.record(work), DeviceError, "capture", call);
    EXPECT_FALSE(capture.recorded());
    EXPECT_FALSE(capturing()) << "still recording after " << call;
  };
  expect_refused("copy_out", [&] { x.item(); });
  expect_refused("copy_in", [&] { x.copy_from(host); });
  expect_refused("synchronize", [&] { context.runtime().synchronize(context); });
  expect_refused("event_record", [&] { context.runtime().event_record(context); });
  expect_refused("400 bytes", [&] { Tensor::empty({100}, Dtype::f32, kSimt); });
  expect_refused("scratch memory", [&] { context.scratch(context.scratch_bytes() + 1); });
  expect_refused("an allocation of 64", [&] { context.runtime().allocate(kSimt, 64); });
  EXPECT_EQ(x.item(), 1);
}

TEST(Capture, RepeatsWhatCannotBeRecordedAsItIs) {
  const Tensor x = Tensor::from(std::array{3.f}, {}).to(kSimt);
  for (const bool asks : {false, true}) {
    Capture capture(kSimt);
    int runs = 0;
    float seen = 0;
    const Tensor y = Tensor::zeros({}, Dtype::f32, kSimt);
    for (int time = 0; time < 4; ++time) {
      capture.repeat([&] {
        ++runs;
        if (asks) seen = x.item();
        y.copy_from(ops::add(Var(y), Var(x)).value());
      });
    }
    EXPECT_EQ(y.item(), 12);
    EXPECT_EQ(capture.recorded(), !asks);
    // The warm-up and the recording; else also one that was refused.
    EXPECT_EQ(runs, asks ? 5 : 2);
    EXPECT_EQ(seen, asks ? 3 : 0);
  }
}

TEST(Capture, IsAClearErrorWhereTheDeviceCannotRecord) {
  EXPECT_THROW(Capture{Device{}}, ConfigError);
  EXPECT_THROW(require_launch_mode(LaunchMode::graph, Device{}), ConfigError);
  EXPECT_NO_THROW(require_launch_mode(LaunchMode::eager, Device{}));
  EXPECT_THROW(Capture{kSimt}.replay(), Error);
}

// Temporaries of every replay lie where they were recorded, and nobody else gets that memory.
TEST(Capture, KeepsItsMemoryWhileItLives) {
  const std::size_t before = memory_stats(kSimt).in_use;
  {
    const Tensor x = on_device(std::vector<float>(100, 2.f)),
                 y = on_device(std::vector<float>(100));
    const auto work = [&] {
      const Tensor twice = Tensor::empty({100}, Dtype::f32, kSimt);
      add(x, x, twice);
      const Tensor thrice = Tensor::empty({100}, Dtype::f32, kSimt);
      add(twice, x, thrice);
      y.copy_from(thrice);
    };
    Recorded capture(work);
    EXPECT_GE(capture.bytes(), 800u);
    std::vector<Tensor> others;
    for (int i = 0; i < 8; ++i) others.push_back(on_device(std::vector<float>(100, 9.f)));
    capture.replay();
    EXPECT_EQ(y.to_vector(), std::vector<float>(100, 6.f));
    for (const Tensor& t : others) EXPECT_EQ(t.to_vector(), std::vector<float>(100, 9.f));
  }
  EXPECT_EQ(memory_stats(kSimt).in_use, before);
}

// The executor checks every access: a replay over scratch memory that was given back would throw.
TEST(Capture, ScratchMemoryMayGrowAfterwards) {
  Context& context = Context::current(kSimt);
  context.release_scratch();
  const std::size_t before = Context::total_scratch_bytes(kSimt);
  {
    const Tensor logits = Tensor::zeros({4, 3}, Dtype::f32, kSimt);
    const Tensor labels = Tensor::from(std::vector<std::int32_t>{0, 1, 2, 0}, {4}).to(kSimt);
    Tensor loss;
    const auto work = [&] {
      loss = Tensor();
      loss = ops::softmax_cross_entropy(Var(logits), labels).loss.value();
    };
    Recorded capture(work);
    context.scratch(context.scratch_bytes() + 4096);
    loss.zero();
    capture.replay();
    EXPECT_NEAR(loss.item(), std::log(3.f), 1e-6);
  }
  context.release_scratch();
  EXPECT_EQ(Context::total_scratch_bytes(kSimt), before) << "scratch memory leaked or miscounted";
}

TEST(Capture, DropoutCountsOnTheDevice) {
  const Tensor x = on_device(std::vector<float>(64, 1.f));
  const Tensor counter = Tensor::zeros({8}, Dtype::u8, kSimt);
  Tensor y;
  const auto work = [&] {
    y = Tensor();
    y = ops::dropout(Var(x), {.seed = 3, .counter = counter}).value();
  };
  Recorded capture(work);
  for (const std::uint64_t step : {0, 1, 7}) {
    const Tensor host = Tensor::empty({8}, Dtype::u8);
    std::memcpy(host.data(), &step, 8);
    counter.copy_from(host);
    capture.replay();
    const Var expected = ops::dropout(Var(x), {.seed = 3, .step = step});
    EXPECT_EQ(y.to_vector(), expected.value().to_vector()) << "step " << step;
  }
}

// ---- Training ----

Architecture small_net() {
  return {.name = "small",
          .channels = 3,
          .resolution = 8,
          .classes = 4,
          .layers = {Conv{.name = "stem", .out = 6, .bias = true},
                     BatchNorm{.name = "norm", .activation = Activation::relu},
                     BasicBlock{.name = "block", .mid = 5, .out = 8, .stride = 2}, Pool{},
                     Flatten{}, Dropout{.p = 0.25f}, Linear{.name = "classifier"}}};
}

StepBatch batch_of(int index, std::int64_t n = 4) { return noise_batch(index, n, 8); }

double rate(int step) { return 0.1 / (1 + step); }

Numbers with_gradients(const Model& model) {
  Numbers all = numbers_of(model);
  for (const Parameter& p : model.parameters()) {
    if (p.var.grad().defined()) all["gradient of " + p.name] = p.var.grad().to_vector();
  }
  return all;
}

constexpr int kSteps = 7, kWatched = 3;  // the last three are observed

double eager_step(Model& model, Sgd& sgd, const StepBatch& batch, int step, ImportanceObserver& o,
                  float smoothing = 0.1f) {
  model.set_step(step);
  model.zero_grad();
  const auto [loss, probs] =
      ops::softmax_cross_entropy(model.forward(batch.images), batch.target, smoothing);
  backward(loss);
  observe(o, model, step, kSteps);
  sgd.step(rate(step));
  return loss.value().item();
}

// simt, and the GPU where there is one.
std::vector<Device> recorders() {
  std::vector<Device> all{kSimt};
  if (gpu_present()) all.push_back({DeviceKind::cuda, 0});
  return all;
}

std::string name_of_kind(Device device) {
  return device.kind == DeviceKind::simt ? "simt" : "cuda";
}

class CapturedStepOn : public testing::TestWithParam<Device> {};
class CapturedDeploymentOn : public testing::TestWithParam<Device> {};

TEST_P(CapturedStepOn, LeavesTheBitsOfAnEagerStep) {
  Model eager(small_net(), kSeed, GetParam()), captured(small_net(), kSeed, GetParam());
  Sgd eager_sgd(eager.parameters(), {}), captured_sgd(captured.parameters(), {});
  ImportanceObserver eager_importance(kWatched), importance(kWatched);
  CapturedStep steps(captured, captured_sgd, {.smoothing = 0.1});
  for (int step = 0; step < kSteps; ++step) {
    const StepBatch batch = batch_of(step);
    const double expected = eager_step(eager, eager_sgd, batch, step, eager_importance);
    ImportanceObserver* observer = importance.wants(step, kSteps) ? &importance : nullptr;
    const StepResult result = steps.run(batch, rate(step), step, observer);
    if (observer) observer->count_step();
    EXPECT_EQ(result.loss, expected) << "step " << step;
    // A change of observer makes a new recording.
    EXPECT_EQ(steps.recorded(), step != 0 && step != kSteps - kWatched) << "step " << step;
    expect_same_bits(with_gradients(captured), with_gradients(eager));
  }
  const auto a = eager_importance.result(eager), b = importance.result(captured);
  EXPECT_EQ(importance.observed(), kWatched);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t l = 0; l < a.size(); ++l) EXPECT_EQ(a[l].kernels, b[l].kernels) << a[l].layer;
}

TEST(CapturedStep, EagerStepsMayComeBetween) {
  Model eager(small_net(), kSeed, kSimt), mixed(small_net(), kSeed, kSimt);
  Sgd eager_sgd(eager.parameters(), {}), mixed_sgd(mixed.parameters(), {});
  ImportanceObserver nobody(0);
  CapturedStep steps(mixed, mixed_sgd, {.smoothing = 0.1});
  for (int step = 0; step < 6; ++step) {
    const StepBatch batch = batch_of(step, step == 3 ? 2 : 4);
    const double expected = eager_step(eager, eager_sgd, batch, step, nobody);
    if (step == 3) {
      EXPECT_EQ(eager_step(mixed, mixed_sgd, batch, step, nobody), expected);
    } else {
      EXPECT_EQ(steps.run(batch, rate(step), step).loss, expected);
    }
    expect_same_bits(with_gradients(mixed), with_gradients(eager));
  }
}

// The place in the epoch, the epoch and how pairs mix change from replay to replay.
void expect_held(BatchSource& loader, Device device) {
  Model eager(small_net(), kSeed, device), captured(small_net(), kSeed, device);
  Sgd eager_sgd(eager.parameters(), {}), captured_sgd(captured.parameters(), {});
  ImportanceObserver nobody(0);
  CapturedStep steps(captured, captured_sgd);
  const Tensor mixing = to_tensor({}).to(device);
  int made = 0;
  const auto make = [&]() -> StepBatch {
    ++made;
    const Batch batch = loader.make();
    return {batch.images, batch.labels, mixup(batch, 4, mixing)};
  };
  for (int step = 0; step < 6; ++step) {
    if (step % 3 == 0) loader.start(step / 3);
    ASSERT_TRUE(loader.advance());
    mixing.copy_from(to_tensor(draw_mixing(1, 1, kSeed, step, 8, 8)));
    const StepBatch batch = make();
    const double expected = eager_step(eager, eager_sgd, batch, step, nobody, 0);
    made = step == 0 ? 0 : made - 1;
    const StepResult result = steps.run(make, rate(step), step);
    EXPECT_EQ(result.loss, expected) << "step " << step;
    EXPECT_EQ(result.batch.images.to_vector(), batch.images.to_vector()) << "step " << step;
    expect_same_bits(with_gradients(captured), with_gradients(eager));
  }
  EXPECT_EQ(made, 2) << "once in the warm-up, once in the recording";
}

TEST_P(CapturedStepOn, HoldsTheMakingOfTheBatch) {
  const DatasetPtr set =
      open_data({.name = "synthetic", .limit_train = 12, .resolution = 8, .classes = 4}).train;
  for (const auto pipeline : {standard_augmentation, random_resized_crop}) {  // resident, streamed
    const LoaderConfig config{.batch = 4, .pipeline = pipeline, .seed = kSeed};
    expect_held(*make_loader(set, config, GetParam()), GetParam());
  }
}

TEST(CapturedStep, GivesItsMemoryBack) {
  Model model(small_net(), kSeed, kSimt);
  Sgd sgd(model.parameters(), {});
  const std::size_t before = memory_stats(kSimt).in_use;
  {
    CapturedStep steps(model, sgd);
    const StepBatch batch = batch_of(0);
    std::size_t after_two = 0;
    for (int step = 0; step < 5; ++step) {
      steps.run(batch, 0.1, step);
      if (step == 1) after_two = memory_stats(kSimt).in_use;
    }
    EXPECT_EQ(memory_stats(kSimt).in_use, after_two) << "a replayed step allocated";
    EXPECT_GE(after_two, before + steps.bytes());
  }
  EXPECT_EQ(memory_stats(kSimt).in_use, before);
}

// ---- Inference ----

TEST_P(CapturedDeploymentOn, GivesTheBitsOfAnEagerRun) {
  const Model model(small_net(), kSeed, GetParam());
  InferenceSession eager(model), captured(model);
  captured.capture();
  for (int i = 0; i < 3; ++i) {
    const Tensor images = batch_of(i, 1).images;
    const std::vector<float> expected = eager.run(images).to_vector();
    EXPECT_EQ(captured.run(images).to_vector(), expected);
    captured.input().zero();
    captured.input().copy_from(images);
    EXPECT_EQ(captured.run(captured.input()).to_vector(), expected) << "given in its own buffer";
  }
  captured.capture(false);
  EXPECT_FALSE(captured.captured());
  const Tensor images = batch_of(9, 1).images;
  EXPECT_EQ(captured.run(images).to_vector(), eager.run(images).to_vector());
}

TEST(CapturedDeployment, IsMeasuredByBothClocksWarmAndCold) {
  const Model model(small_net(), kSeed, kSimt);
  InferenceSession net(model);
  for (const LaunchMode mode : {LaunchMode::eager, LaunchMode::graph}) {
    net.capture(mode == LaunchMode::graph);
    const Profile p = profile(net, {.runs = 4, .warmup = 1});
    EXPECT_EQ(p.launch, mode);
    ASSERT_TRUE(p.device);
    for (const LatencyStats& s :
         {p.latency, p.device->event, p.device->cold, p.device->cold_event}) {
      EXPECT_EQ(s.runs, 4);
      EXPECT_GT(s.min, 0);
      EXPECT_GE(s.p95, s.median);
    }
    for (const OpTime& op : p.ops) EXPECT_GT(op.ms, 0) << op.name;
  }
  InferenceSession host{Model(small_net(), kSeed)};
  EXPECT_FALSE(profile(host, {.runs = 2, .warmup = 0}).device);
  EXPECT_THROW(host.capture(), ConfigError);
}

INSTANTIATE_TEST_SUITE_P(Devices, CapturedStepOn, testing::ValuesIn(recorders()),
                         [](const auto& info) { return name_of_kind(info.param); });
INSTANTIATE_TEST_SUITE_P(Devices, CapturedDeploymentOn, testing::ValuesIn(recorders()),
                         [](const auto& info) { return name_of_kind(info.param); });

TEST(Events, LieInTheOrderOfTheWork) {
  Context& context = Context::current(kSimt);
  const Runtime& runtime = context.runtime();
  const Tensor x = on_device(std::vector<float>(1000, 1.f));
  const Event before = runtime.event_record(context);
  add(x, x, x);
  const Event after = runtime.event_record(context);
  EXPECT_GT(runtime.elapsed_ms(context, before, after), 0);
  EXPECT_LT(runtime.elapsed_ms(context, after, before), 0);
}

// ---- Timing ----

// The host gives the work three times or so, the device does it hundreds of times.
TEST(RecordedMs, RepeatsWithoutTheHost) {
  Context& context = Context::current(kSimt);
  const Tensor one = on_device({1}), sum = on_device({0});
  int given = 0;
  const double ms = recorded_ms(context, 3, 50, [&] {
    ++given;
    add(sum, one, sum);
  });
  EXPECT_GT(ms, 0);
  const int repetitions = given - 2;  // two by themselves, before the recording
  EXPECT_GE(repetitions, 1);
  EXPECT_LE(repetitions, 20);
  EXPECT_EQ(sum.item(), static_cast<float>(2 + repetitions * 53));
}

TEST(RecordedMs, IsTakenOneByOneWhereNothingIsRecorded) {
  int given = 0;
  EXPECT_GE(recorded_ms(Context::current(), 3, 5, [&] { ++given; }), 0);
  EXPECT_EQ(given, 8);
}

TEST(RecordedMs, SaysWhatCannotBeRecordedAndStopsRecording) {
  const Tensor x = on_device({1});
  EXPECT_ERROR(recorded_ms(Context::current(kSimt), 1, 1, [&] { x.item(); }), DeviceError,
               "capture", "copy_out");
  EXPECT_FALSE(capturing());
}

}  // namespace
}  // namespace hac
