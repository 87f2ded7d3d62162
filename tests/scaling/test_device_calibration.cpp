// The fit of a device profile: what it finds on machines whose truth is known.

#include "scaling/latency/device_calibration.h"

#include "tests/support/messages.h"
#include "tests/support/timed_networks.h"

namespace hac {
namespace {

DeviceProfile given() {
  return {.name = "given",
          .processor = Processor::cpu,
          .units = 4,
          .peak_gmacs = {.f32 = 100},
          .bandwidth_gbs = 10,
          .cache_kib = 16,
          .tile = {8, 16},
          .channel_block = 16,
          .launch_us = {.eager = 1, .graph = 2},
          .source = {"u", "p", "b", "c", "t", "k", "l"}};
}

// Networks of several widths and sizes, so that each figure matters somewhere.
std::vector<NetworkTiming> timed_by(const LatencyModel& truth, double noise = 0) {
  std::vector<NetworkTiming> timings;
  const Philox random{3, 1};
  for (NetworkTiming t : sampled(linear_machine, 12, 4)) {
    t.op_ms.clear();
    timings.push_back(t);
  }
  for (const double r : {1.5, 2.0, 3.0, 4.0}) {
    timings.push_back({.graph = fuse(lower(scale_resolution(slim_vgg(), r, 4)))});
  }
  for (std::size_t i = 0; i < timings.size(); ++i) {
    timings[i].total_ms = truth.predict(timings[i].graph) *
                          (1 + noise * (2 * random.uniform(static_cast<std::int64_t>(i)) - 1));
  }
  return timings;
}

DeviceProfile truth() {
  DeviceProfile p = given();
  p.peak_gmacs.f32 *= 0.4;
  p.bandwidth_gbs *= 0.7;
  p.channel_block = 8;
  p.launch_us.eager = 5;
  return p;
}

TEST(Calibration, FindsTheMachine) {
  const std::vector<NetworkTiming> timings = timed_by(DeviceModel(truth(), LaunchMode::eager));
  const Calibration c = calibrate(given(), LaunchMode::eager, timings, "a test");
  EXPECT_NEAR(c.peak.value(), 0.4, 1e-6);
  EXPECT_NEAR(c.bandwidth.value(), 0.7, 1e-6);
  EXPECT_NEAR(c.launch_us, 5, 1e-5);
  EXPECT_EQ(c.channel_block, 8);
  EXPECT_LT(c.after.worst, 1e-6);
  EXPECT_GT(c.before.median, 0.2);
  EXPECT_EQ(c.after.networks, 16);
  // The rest is as it was, and the file is a profile.
  DeviceProfile expected = truth();
  EXPECT_EQ(c.profile.tile, expected.tile);
  EXPECT_EQ(c.profile.units, expected.units);
  EXPECT_FALSE(c.profile.launch_us.graph);
  EXPECT_CONTAINS(c.profile.name, "given calibrated on a test");
  EXPECT_CONTAINS(c.profile.source.peak_gmacs, "fitted to 16 networks", "0.4 of: p");
  EXPECT_EQ(c.profile.source.tile, "t");
  EXPECT_NO_THROW(device_profile_from_json(to_json(c.profile), "fitted"));
}

TEST(Calibration, WithNoiseIsNearlyTheMachine) {
  const std::vector<NetworkTiming> timings =
      timed_by(DeviceModel(truth(), LaunchMode::eager), 0.05);
  const Calibration c = calibrate(given(), LaunchMode::eager, timings, "a test");
  EXPECT_NEAR(c.peak.value(), 0.4, 0.08);
  EXPECT_LT(c.after.median, 0.06);
  EXPECT_LT(c.after.worst, 0.2);
}

// A machine that is no roofline: held-out networks are predicted better all the same.
TEST(Calibration, OfAnotherKindOfMachineHelps) {
  for (const Machine machine : {linear_machine, staircase_machine}) {
    const std::vector<NetworkTiming> timings = sampled(machine, 20, 5);
    const Calibration c = calibrate(given(), LaunchMode::eager, timings, "a test");
    EXPECT_LT(c.after.median, 0.1);
    EXPECT_LT(c.after.median, c.before.median / 3);
  }
}

TEST(Calibration, SaysOfAFigureThatNothingShowedIt) {
  DeviceProfile fast = truth();
  fast.bandwidth_gbs = 1e30;
  const std::vector<NetworkTiming> timings = timed_by(DeviceModel(fast, LaunchMode::eager));
  const Calibration c = calibrate(given(), LaunchMode::eager, timings, "a test");
  EXPECT_NEAR(c.peak.value(), 0.4, 1e-3);
  EXPECT_FALSE(c.bandwidth);
  EXPECT_CONTAINS(c.profile.source.bandwidth_gbs, "none of which it bound");
  EXPECT_LT(c.after.worst, 1e-3);
}

TEST(Calibration, RefusesWhatItCannotUse) {
  std::vector<NetworkTiming> timings = timed_by(DeviceModel(truth(), LaunchMode::eager));
  const auto fit = [&](LaunchMode launch, int folds) {
    calibrate(given(), launch, timings, "a test", folds);
  };
  EXPECT_ERROR(fit(LaunchMode::eager, 1), ConfigError, "two folds");
  DeviceProfile no_graph = given();
  no_graph.launch_us.graph = {};
  EXPECT_ERROR(calibrate(no_graph, LaunchMode::graph, timings, "a test"), ConfigError,
               "'launch_us.graph'");
  timings[2].total_ms = 0;
  EXPECT_ERROR(fit(LaunchMode::eager, 5), ConfigError, "above 0 ms");
  timings.resize(4);
  EXPECT_ERROR(fit(LaunchMode::eager, 4), ConfigError, "five timed networks", "4");
}

}  // namespace
}  // namespace hac
