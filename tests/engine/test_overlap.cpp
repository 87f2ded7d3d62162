// Work on two streams: a recorded step leaves the bits of one stream in whichever order the
// executor takes them, and the orders show what was not told to wait.

#include "engine/device/overlap.h"

#include "engine/optim/sgd.h"
#include "kernels/core/context_scope.h"
#include "kernels/ops/elementwise.h"
#include "models/train/captured_step.h"
#include "tests/support/places.h"
#include "tests/support/simt_fixtures.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

using simt::Streams;

constexpr std::uint64_t seed = 5;
const simt::Options orders[] = {{.streams = Streams::as_given},
                                {.streams = Streams::recording_first},
                                {.streams = Streams::others_first},
                                {.streams = Streams::random, .seed = 1},
                                {.streams = Streams::random, .seed = 2}};

Tensor number(float value) { return Tensor::from(std::vector<float>{value}, {1}).to(kSimt); }

// y = a + b, on this thread's current context.
void add(const Tensor& a, const Tensor& b, const Tensor& y) {
  add_kernels.run(&AddKernels::forward, kSimt, AddSpec{.shape = {1}}, a.data(), b.data(), y.data());
}

Architecture network() {
  return {.name = "small",
          .channels = 3,
          .resolution = 16,
          .classes = 4,
          .layers = {Conv{.name = "stem", .out = 6, .bias = true},
                     BatchNorm{.name = "norm", .activation = Activation::relu},
                     BasicBlock{.name = "block", .mid = 5, .out = 8, .stride = 2},
                     Conv{.name = "plain", .out = 6, .bias = true}, Pool{}, Flatten{},
                     Linear{.name = "classifier"}}};
}

// Weights after four steps.
Numbers train(Dtype dtype, LaunchMode launch, std::int64_t parts, Device device = kSimt) {
  Model model(network(), seed, device, dtype);
  Sgd sgd(model.parameters(), {}, dtype == Dtype::f16 ? 1024 : 0);
  CapturedStep step(model, sgd, {.parts = parts});
  for (int i = 0; i < 4; ++i) {
    if (launch == LaunchMode::graph) {
      step.run(noise_batch(i), 0.1, i);
      continue;
    }
    const StepBatch host = noise_batch(i);
    const StepBatch batch{host.images.to(device), host.target.to(device), host.labels.to(device)};
    batch_gradients(
        model, {.parts = parts}, batch, shard_of(4, parts), sgd.loss_scale().seed(),
        [&](std::int64_t k) { model.set_step(i * parts + k); }, nullptr);
    sgd.set_rate(0.1);
    observe_and_update(model, sgd, nullptr);
  }
  EXPECT_EQ(step.recorded(), launch == LaunchMode::graph);
  return numbers_of(model);
}

class OverlappedStep : public testing::TestWithParam<std::pair<Dtype, std::int64_t>> {};

TEST_P(OverlappedStep, LeavesTheBitsOfOneStreamInEveryOrder) {
  const auto [dtype, parts] = GetParam();
  const Numbers eager = train(dtype, LaunchMode::eager, parts);
  set_overlap(kSimt, Overlap::none);
  const Numbers one_stream = train(dtype, LaunchMode::graph, parts);
  set_overlap(kSimt, Overlap::streams);
  expect_same_bits(one_stream, eager);
  for (const simt::Options& order : orders) {
    SCOPED_TRACE(testing::Message() << "order of streams " << static_cast<int>(order.streams));
    const simt::With with(order);
    expect_same_bits(train(dtype, LaunchMode::graph, parts), eager);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, OverlappedStep,
                         testing::Values(std::pair{Dtype::f32, 1}, std::pair{Dtype::bf16, 1},
                                         std::pair{Dtype::f16, 2}),
                         [](const auto& info) { return std::string(name_of(info.param.first)); });

TEST(Overlap, OnAGpuLeavesTheSameBits) {
  if (!gpu_present()) GTEST_SKIP() << "no GPU";
  const Device gpu{DeviceKind::cuda, 0};
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    set_overlap(gpu, Overlap::none);
    const Numbers expected = train(dtype, LaunchMode::graph, 1, gpu);
    for (const Overlap overlap : {Overlap::streams, Overlap::launches, Overlap::both}) {
      try {
        set_overlap(gpu, overlap);
      } catch (const ConfigError&) {
        continue;  // an older GPU
      }
      SCOPED_TRACE(enum_names<Overlap>[static_cast<int>(overlap)]);
      expect_same_bits(train(dtype, LaunchMode::graph, 1, gpu), expected);
    }
  }
  set_overlap(gpu, Overlap::streams);
}

// Both pieces run, each on its own context, and what follows sees both.
TEST(Overlap, RunsAsideOnTheSecondContext) {
  const auto second = second_context(kSimt);
  ASSERT_NE(second, nullptr);
  Context& own = Context::current(kSimt);
  std::vector<Context*> seen;
  const auto note = [&] { seen.push_back(&Context::current(kSimt)); };
  overlap(kSimt, note, note);
  {
    const OverlapScope scope(second.get());
    overlap(kSimt, note, note);
    overlap(Device{}, note, note);  // another device's has nothing of it
  }
  note();
  EXPECT_EQ(seen, (std::vector<Context*>{&own, &own, second.get(), &own, &own, &own, &own}));
  set_overlap(kSimt, Overlap::none);
  EXPECT_EQ(second_context(kSimt), nullptr);
  set_overlap(kSimt, Overlap::streams);
  EXPECT_EQ(second_context(Device{}), nullptr) << "the CPU has one order of work";
}

TEST(Overlap, OfLaunchesNeedsAGpu) {
  EXPECT_ERROR(set_overlap({}, Overlap::launches), ConfigError, "overlap 'launches'", "cpu");
  EXPECT_NO_THROW(set_overlap({}, Overlap::streams));
  set_overlap(kSimt, Overlap::launches);
  EXPECT_EQ(second_context(kSimt), nullptr);
  set_overlap(kSimt, Overlap::both);
  EXPECT_NE(second_context(kSimt), nullptr);
  set_overlap(kSimt, Overlap::streams);
}

// The value that `work` leaves in y in this order, each piece on a context of two.
float replayed(const simt::Options& order, bool follows, bool waits_before) {
  const simt::With with(order);
  const Tensor x = number(1), y = number(0), z = number(0);
  const auto second = second_context(kSimt);
  Context& ctx = Context::current(kSimt);
  const auto follow = ctx.runtime().follow;
  const auto work = [&] {
    if (!waits_before) follow(*second, ctx);
    add(x, x, y);  // y = 2
    if (waits_before) follow(*second, ctx);
    {
      const ContextScope scope(*second);
      add(y, y, z);  // z = 4
    }
    if (follows) follow(ctx, *second);
    add(z, x, y);  // y = 5
    if (!follows) follow(ctx, *second);
  };
  Capture capture(kSimt, second.get());
  capture.warm_up(work);
  y.zero();
  z.zero();
  capture.record(work);
  capture.replay();
  return y.item();
}

TEST(Overlap, OrdersOfStreamsShowAMissingFollow) {
  for (const simt::Options& order : orders) EXPECT_EQ(replayed(order, true, true), 5);
  EXPECT_EQ(replayed({.streams = Streams::as_given}, false, false), 5) << "as if all were told";
  EXPECT_NE(replayed({.streams = Streams::recording_first}, false, true), 5);
  EXPECT_NE(replayed({.streams = Streams::others_first}, true, false), 5);
}

TEST(Overlap, ARecordingHasNoLooseEnds) {
  const Tensor x = number(1), y = number(0);
  const auto second = second_context(kSimt);
  Context& ctx = Context::current(kSimt);
  const auto beside = [&] {
    const ContextScope scope(*second);
    add(x, x, y);
  };
  Capture capture(kSimt, second.get());
  EXPECT_ERROR(capture.record(beside), DeviceError, "capture", "does not follow");
  EXPECT_ERROR(capture.record([&] { ctx.runtime().follow(ctx, *second); }), DeviceError, "capture",
               "not recorded");
  EXPECT_ERROR(capture.record([&] {
    ctx.runtime().follow(*second, ctx);
    beside();
  }),
               DeviceError, "capture", "nothing waits for");
  EXPECT_FALSE(capture.recorded());
  EXPECT_FALSE(capturing());
  beside();
  EXPECT_EQ(y.item(), 2);
}

// Between warm-up and recording both contexts give their scratch memory back.
TEST(Overlap, RecordsWithTheScratchMemoryOfBothContexts) {
  const auto second = second_context(kSimt);
  const std::size_t before = Context::total_scratch_bytes(kSimt);
  Capture capture(kSimt, second.get());
  const auto take = [&] { Context::current(kSimt).scratch(1 << 20); };
  const auto work = [&] { overlap(kSimt, take, [] {}); };
  capture.warm_up(work);
  second->release_scratch();
  Context::current(kSimt).release_scratch();
  EXPECT_NO_THROW(capture.record(work));
  EXPECT_GE(Context::total_scratch_bytes(kSimt), before + (1 << 20));
}

TEST(Overlap, JoinsWhenAPieceFails) {
  const auto second = second_context(kSimt);
  const OverlapScope scope(second.get());
  Context& own = Context::current(kSimt);
  const auto fails = [] { throw Error("planned"); };
  EXPECT_THROW(overlap(
                   kSimt, [] {}, fails),
               Error);
  EXPECT_THROW(overlap(kSimt, fails, [] {}), Error);
  EXPECT_EQ(&Context::current(kSimt), &own);
}

}  // namespace
}  // namespace hac
