// Which networks a sweep times, what it says of modelled ones, and the channels that are free.

#include "models/arch/counters.h"
#include "models/zoo/zoo.h"
#include "scaling/measure/network_times.h"
#include "scaling/measure/sweep.h"
#include "tests/support/messages.h"
#include "tests/support/timed_networks.h"

namespace hac {
namespace {

TEST(Sweep, OneDimensionAtATime) {
  const Architecture net = zoo("resnet20");
  const auto nets = networks_to_sweep(
      net, {.widths = {1, 1.1, 2}, .depths = {1, 2}, .resolutions = {24, 32, 48}});
  std::vector<std::string> dimensions;
  for (const SweptNetwork& n : nets) dimensions.push_back(n.dimension);
  // Widths 16 32 64 times 1.1 round to 16 32 72 (multiples of 8); factor 1 and 32 px are the
  // baseline.
  EXPECT_EQ(dimensions, (std::vector<std::string>{"baseline", "width", "width", "depth",
                                                  "resolution", "resolution"}));
  EXPECT_EQ(nets[0].arch, net);
  EXPECT_EQ(nets[2].arch, scale_width(net, 2));
  EXPECT_EQ(nets[3].arch, scale_depth(net, 2));
  EXPECT_EQ(nets[5].arch, with_resolution(net, 48));
}

TEST(Sweep, AGridHasEveryCombination) {
  const Architecture net = zoo("resnet20");
  const auto nets = networks_to_sweep(
      net, {.widths = {1, 2}, .depths = {1, 2}, .resolutions = {24, 32}, .grid = true});
  EXPECT_EQ(nets.size(), 8u);  // one of them the baseline
  EXPECT_EQ(nets.back().arch, scale_width(scale_depth(net, 2), 2));
}

TEST(Sweep, RefusesWhatCannotBeSwept) {
  EXPECT_ERROR(networks_to_sweep(zoo("vgg11"), {}), ConfigError, "widths, depths or resolutions");
  EXPECT_ERROR(networks_to_sweep(zoo("vgg11"), {.resolutions = {24}}), ConfigError, "vgg11", "24");
}

TEST(Sweep, AModelGivesTimesWithoutErrorBars) {
  const Architecture net = slim_vgg();
  const LatencyModelPtr model = fit_latency_regression(sampled(linear_machine, 8, 9));
  const auto rows = model_sweep(networks_to_sweep(net, {.widths = {2}}), *model);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_TRUE(rows[1].modelled);
  EXPECT_EQ(rows[1].ms, model->predict(scale_width(net, 2)));
  EXPECT_EQ(rows[1].macs, count(scale_width(net, 2)).macs);
  EXPECT_EQ(rows[1].units, 8);
  EXPECT_FALSE(known(rows[1].low_ms));
  EXPECT_FALSE(known(rows[1].peak_fraction));
  EXPECT_NEAR(rows[1].gmacs_per_s, double(rows[1].macs) / rows[1].ms * 1e-6, 1e-9);
}

TEST(Sweep, MeasuresEveryNetworkWithItsSpread) {
  const auto nets = networks_to_sweep(scale_width(zoo("resnet20"), 0.5), {.resolutions = {24}});
  const auto rows = measure_sweep(nets, {}, 100, {.runs = 5, .warmup = 1});
  ASSERT_EQ(rows.size(), 2u);
  for (const SweepRow& row : rows) {
    EXPECT_GT(row.low_ms, 0);
    EXPECT_LE(row.low_ms, row.ms);
    EXPECT_LE(row.ms, row.high_ms);
    EXPECT_FALSE(row.modelled);
    EXPECT_NEAR(row.peak_fraction, row.multiplied_gmacs_per_s / 100, 1e-12);
  }
}

TEST(Sweep, PatienceEndsWhereFiguresAreSteady) {
  std::vector<double> pauses;
  Patience patience{.seconds = 10, .pause = [&](double s) { pauses.push_back(s); }};
  int calls = 0;
  measure_patiently(&patience, [&] { return ++calls == 3; });
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(pauses, (std::vector<double>{0.5, 1}));
  measure_patiently(&patience, [&] { return ++calls < 0; });
  EXPECT_EQ(patience.seconds, 0);
  calls = 0;
  measure_patiently(nullptr, [&] { return ++calls < 0; });
  EXPECT_EQ(calls, 1);
}

TEST(Sweep, ALayerIsTimedInItsNetwork) {
  const Architecture net = scale_width(zoo("resnet20"), 0.5);
  std::size_t told = 0;
  const auto times =
      time_layer_widths(net, 1, {8, 12, 20}, {}, {.rounds = 2, .measure = {.runs = 2, .warmup = 0}},
                        [&](std::size_t n) { told = n; });
  EXPECT_EQ(told, 6u);
  ASSERT_EQ(times.size(), 3u);
  for (const WidthTime& t : times) {
    EXPECT_GT(t.low_ms, 0);
    EXPECT_LE(t.low_ms, t.ms);
    EXPECT_LE(t.ms, t.high_ms);
  }
  EXPECT_EQ(times[2].width, 20);
}

TEST(Sweep, ALayerHasThreeRoundsHoweverSlowTheyAre) {
  const Architecture net = scale_width(zoo("resnet20"), 0.5);
  const auto rounds_within = [&](double seconds) {
    std::size_t told = 0;
    const LayerTiming how{.rounds = 5, .measure = {.runs = 1, .warmup = 0}, .seconds = seconds};
    time_layer_widths(net, 1, {8, 12}, {}, how, [&](std::size_t n) { told = n; });
    return told / 2;
  };
  EXPECT_EQ(rounds_within(0), 3u);
  EXPECT_EQ(rounds_within(1e9), 5u);
}

// A convolution of each kind and size that there is, the largest first: of resnet20 at 32 pixels
// all blocks of a stage are alike.
TEST(Sweep, MainLayersAreOneOfAKind) {
  const Architecture net = zoo("resnet20");
  const std::vector<int> layers = main_layers(net, 3);
  EXPECT_EQ(layers.size(), 3u);
  const Graph graph = fuse(lower(net));
  std::vector<std::string> kinds;
  std::int64_t before = 1 << 30;
  for (const int layer : layers) {
    for (const Op& op : graph.ops) {
      if (op.width_index != layer) continue;
      EXPECT_LE(op.spec.cost().macs, before);
      before = op.spec.cost().macs;
      kinds.push_back(op.spec.with({}).str());
    }
  }
  ASSERT_EQ(kinds.size(), 3u);
  EXPECT_NE(kinds[0], kinds[1]);
  EXPECT_NE(kinds[1], kinds[2]);
  EXPECT_TRUE(main_layers(net, 0).empty());
}

LayerStaircase steps_of_16(double error) {
  std::vector<WidthTime> points;
  for (const std::int64_t w : staircase_widths(128)) {
    const double ms = 1e-3 * static_cast<double>(round_up(w, 16));
    points.push_back({w, ms, (1 - error) * ms, error == 0 ? 0 : (1 + error) * ms});
  }
  return find_staircase("features.8", points);
}

TEST(Sweep, NamesTheFreeChannels) {
  const LayerStaircase found = steps_of_16(0.001);
  EXPECT_CONTAINS(free_channels(found, 132), "features.8: 132 -> 144 costs nothing");
  EXPECT_CONTAINS(free_channels(found, 144), "144 is the right-hand edge");
  EXPECT_EQ(step_edges(found),
            (std::vector<std::int64_t>{128, 144, 160, 176, 192, 208, 224, 240, 256}));
  LayerStaircase unclear = found;
  unclear.clear = false;
  EXPECT_CONTAINS(free_channels(unclear, 132), "noise");
  EXPECT_TRUE(step_edges(unclear).empty());
  // Of a formula, what is flat is free, whatever the step.
  const LayerStaircase modelled = steps_of_16(0);
  EXPECT_EQ(free_channels(modelled, 136), "features.8: 136 -> 144 costs nothing (modelled)");
  EXPECT_CONTAINS(free_channels(modelled, 144), "none of the widths above 144");
  EXPECT_EQ(step_edges(modelled)[0], 144);
}

}  // namespace
}  // namespace hac
