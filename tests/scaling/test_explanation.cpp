// What a budget buys on chips whose answer is known without a model: one where only launches take
// time, one where only multiply-adds do, and a measured one.

#include "scaling/methods/explanation.h"

#include "models/zoo/zoo.h"
#include "scaling/latency/device_model.h"
#include "tests/support/messages.h"
#include "tests/support/timed_networks.h"

namespace hac {
namespace {

// Each figure is beyond reach but for what is given.
DeviceProfile ideal() {
  return {.name = "ideal",
          .peak_gmacs = {.f32 = 1e30},
          .bandwidth_gbs = 1e30,
          .cache_kib = 1e30,
          .tile = {1, 1},
          .launch_us = {.eager = 1e-30}};
}

DeviceExplanation explained(const DeviceProfile& profile, const Architecture& arch) {
  const LatencyModelPtr model = std::make_shared<DeviceModel>(profile, LaunchMode::eager);
  return explain(arch, {&model, 1}).devices.at(0);
}

const DimensionExplanation& along(const DeviceExplanation& d, const std::string& method) {
  for (const DimensionExplanation& x : d.dimensions) {
    if (x.method == method) return x;
  }
  throw std::logic_error(method);
}

double sum_of(TimeParts p) { return p.launch + p.tail + p.arithmetic + p.weights + p.activations; }

TEST(Explanation, WhereOnlyLaunchesCountWidthAndResolutionAreFree) {
  DeviceProfile chip = ideal();
  chip.launch_us.eager = 1;
  const DeviceExplanation d = explained(chip, zoo("preact_resnet18"));
  EXPECT_NEAR(d.parts->launch, 1, 1e-9);
  EXPECT_NEAR(d.half_width.latency, 1, 1e-9);
  for (const char* free : {"uniform-width", "resolution"}) {
    const DimensionExplanation& x = along(d, free);
    EXPECT_EQ(x.judged().freedom(), Freedom::free);
    EXPECT_NEAR(x.smallest.latency, 1, 1e-9) << free;
    EXPECT_EQ(x.bought[0].stopped_by, "growth-cap");
    EXPECT_GT(x.bought[0].largest.macs, 100);
  }
  // A unit has three kernels more of 33, and a ninth more of the units.
  const DimensionExplanation& depth = along(d, "depth");
  const double kernels = d.latency_ms * 1e3;
  EXPECT_NEAR(depth.smallest.latency, 1 + 3 / kernels, 1e-9);
  EXPECT_EQ(depth.bought[0].largest.factor, 1);
  EXPECT_EQ(depth.bought[0].largest.freedom(), Freedom::nothing);
  EXPECT_EQ(depth.bought[0].stopped_by, "infeasible");
  EXPECT_EQ(depth.bought[1].largest.factor, 1.5);
  EXPECT_NEAR(depth.bought[1].largest.latency, 1 + 12 / kernels, 1e-9);
  EXPECT_NE(depth.judged().freedom(), Freedom::free);
}

TEST(Explanation, WhereOnlyMultiplyAddsCountNothingIsFree) {
  DeviceProfile chip = ideal();
  chip.peak_gmacs.f32 = 1;
  const DeviceExplanation d = explained(chip, zoo("preact_resnet18"));
  EXPECT_NEAR(d.parts->arithmetic, 1, 1e-6);
  for (const DimensionExplanation& x : d.dimensions) {
    EXPECT_EQ(x.judged().freedom(), Freedom::none) << x.method;
    for (const Purchase& p : x.bought) EXPECT_LE(p.largest.latency, p.budget) << x.method;
    EXPECT_NEAR(x.judged().macs, x.judged().latency, 0.01) << x.method;
  }
  EXPECT_NEAR(d.half_width.latency, d.half_width.macs, 0.01);
}

TEST(Explanation, SharesAndPartsAddUp) {
  const Architecture arch = zoo("preact_resnet18");
  const std::vector<LatencyModelPtr> models{device_model("xavier"), device_model("xavier:graph"),
                                            device_model("h100")};
  const Explanation e = explain(arch, models);
  ASSERT_EQ(e.devices.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const DeviceExplanation& d = e.devices[i];
    EXPECT_TRUE(d.modelled);
    EXPECT_CONTAINS(d.device, "(modelled)");
    EXPECT_EQ(d.latency_ms, models[i]->predict(arch));
    EXPECT_NEAR(sum_of(*d.parts), 1, 1e-9);
    double macs = 0, time = 0;
    for (const LayerTime& layer : d.layers) {
      macs += layer.macs_share;
      time += layer.time_share;
      EXPECT_NE(layer.bound, "");
    }
    EXPECT_NEAR(macs, 1, 1e-9);
    EXPECT_NEAR(time, 1, 1e-9);
    for (const DimensionExplanation& x : d.dimensions) {
      EXPECT_GT(x.smallest.macs, 1);
      EXPECT_NEAR(sum_of(*x.smallest.added), x.smallest.latency - 1, 1e-9) << x.method;
      for (const Purchase& p : x.bought) EXPECT_LE(p.largest.latency, p.budget);
    }
  }
}

// What the paper's Fig. 2 shows on the device that it shows it of, launched as there.
TEST(Explanation, OnAJetsonLaunchedKernelByKernelDepthAloneIsNotFree) {
  const LatencyModelPtr xavier = device_model("xavier");
  const DeviceExplanation d = explain(zoo("preact_resnet18"), {&xavier, 1}).devices.at(0);
  EXPECT_GT(d.parts->launch, 0.5);
  EXPECT_EQ(along(d, "uniform-width").judged().freedom(), Freedom::free);
  EXPECT_EQ(along(d, "resolution").judged().freedom(), Freedom::free);
  EXPECT_EQ(along(d, "depth").judged().freedom(), Freedom::none);
  EXPECT_CONTAINS(d.finding(), "Time: launch", "width is free", "depth is not free");
}

TEST(Explanation, OfAMeasuredModelKnowsTimesAlone) {
  const std::vector<NetworkTiming> timings = sampled(staircase_machine, 9, 3);
  const LatencyModelPtr model =
      fit_latency(LatencyModelKind::table, timings, {"some cpu", "f32", 2, "avx2", "lib"});
  const DeviceExplanation d = explain(slim_vgg(), {&model, 1}).devices.at(0);
  EXPECT_FALSE(d.modelled);
  EXPECT_FALSE(d.parts);
  EXPECT_EQ(d.error, model->error->median);
  for (const LayerTime& layer : d.layers) EXPECT_EQ(layer.bound, "");
  EXPECT_FALSE(along(d, "depth").smallest.added);
  EXPECT_GT(along(d, "resolution").judged().extrapolated, 0);
}

TEST(Explanation, RefusesBudgetsThatAreNone) {
  const LatencyModelPtr model = device_model("xavier");
  const auto with = [&](std::vector<double> budgets) {
    explain(slim_vgg(), {&model, 1}, {.budgets = std::move(budgets)});
  };
  EXPECT_ERROR(explain(slim_vgg(), {}), ConfigError, "a device");
  EXPECT_ERROR(with({}), ConfigError, "'budgets'");
  EXPECT_ERROR(with({0.9}), ConfigError, "from 1 on", "0.9");
  EXPECT_ERROR(with({1.4, 1.05}), ConfigError, "ascending");
}

}  // namespace
}  // namespace hac
