// The latency table on synthetic machines whose truth is known.

#include <cmath>

#include "scaling/latency/latency.h"
#include "scaling/latency/nnls.h"
#include "tests/support/messages.h"
#include "tests/support/timed_networks.h"

namespace hac {
namespace {

TEST(Table, ExactAtTheNodes) {
  const std::vector<NetworkTiming> timings = sampled(staircase_machine, 8, 1, 1, 0.3);
  const LatencyModelPtr model = fit_latency_table(timings, 16);
  // Noise differs where two networks share a node, so check networks fitted alone.
  for (const NetworkTiming& t : timings) {
    const LatencyModelPtr alone = fit_latency_table({&t, 1}, 16);
    for (const auto& [op, ms] : t.op_ms) {
      EXPECT_NEAR(alone->predict(t.graph.ops[op].spec), ms, 1e-12);
    }
    EXPECT_NEAR(alone->predict(t.graph), t.total_ms, 1e-12);
    EXPECT_TRUE(model->extrapolated(t.graph).empty());
  }
}

TEST(Table, NodesSharedByNetworksAreAveraged) {
  const Architecture arch = slim_vgg();
  NetworkTiming a = time_on(linear_machine, arch), b = a;
  for (auto& [op, ms] : b.op_ms) ms *= 3;
  b.total_ms *= 3;
  const std::vector<NetworkTiming> both = {a, b};
  EXPECT_NEAR(fit_latency_table(both)->predict(a.graph.ops[0].spec), 2 * a.op_ms[0] * 1.0,
              1e-9);  // median of the ratios 1/2 and 3/2 is 1
}

TEST(Table, StaircaseInBlocksAndMonotone) {
  const LatencyModelPtr model = fit_latency_table(sampled(staircase_machine, 10, 2), 16);
  const Architecture arch = slim_vgg();
  for (std::size_t l = 0; l < widths(arch).size(); ++l) {
    double last = 0;
    for (std::int64_t c = 1; c <= 4 * widths(arch)[l]; ++c) {
      std::vector<std::int64_t> w = widths(arch);
      w[l] = c;
      const double ms = model->predict(with_widths(arch, w));
      if (c > 1 && (c - 1) % 16 != 0) {
        // The widths themselves are rounded up: all of a block costs the same (layers before the
        // classifier, whose input is not channels alone, included).
        EXPECT_EQ(ms, last) << "layer " << l << " width " << c;
      }
      EXPECT_GE(ms, last * (1 - 1e-9)) << "layer " << l << " width " << c;
      last = ms;
    }
  }
}

TEST(Table, HeldOutNetworksOfAStaircaseMachine) {
  const std::vector<NetworkTiming> fitted = sampled(staircase_machine, 12, 3, 1.2);
  const std::vector<NetworkTiming> held = sampled(staircase_machine, 20, 4, 1.2);
  const LatencyError e = prediction_error(*fit_latency_table(fitted, 16), held);
  EXPECT_EQ(e.networks, 20);
  EXPECT_LT(e.median, 0.01);
  EXPECT_LT(e.worst, 0.05);
  EXPECT_GT(e.r2, 0.99);
}

// A machine that the surface cannot follow: between the nodes their ratios to it count. The answer
// is worked out here from the formula of the header.
TEST(Table, RatiosAreInterpolatedBetweenNodes) {
  const auto pool = [](std::int64_t c, double ms) {
    NetworkTiming t{.graph = {.input = {1, c, 8, 8}}};
    t.graph.ops.push_back({.spec = Pool2dSpec{.n = 1, .c = c, .h = 8, .w = 8}, .inputs = {-1}});
    t.op_ms[0] = t.total_ms = ms;
    return t;
  };
  const std::vector<NetworkTiming> timings = {pool(16, 1), pool(64, 3), pool(256, 3)};
  const LatencyModelPtr model = fit_latency_table(timings, 16);
  // Relative least squares of p0 + p1 c, then rho = ms / f at the three nodes.
  const std::vector<double> p =
      nnls({{1, 16}, {1.0 / 3, 64.0 / 3}, {1.0 / 3, 256.0 / 3}}, {1, 1, 1});
  const auto f = [&](double c) { return p[0] + p[1] * c; };
  double weights = 0, rho = 0;
  for (const NetworkTiming& t : timings) {
    const auto c = static_cast<double>(t.graph.input[1]);
    const double weight = 1 / std::pow(std::log(c / 128), 2);
    weights += weight;
    rho += weight * t.total_ms / f(c);
  }
  EXPECT_NEAR(model->predict(pool(128, 1).graph), f(128) * rho / weights, 1e-9);
  EXPECT_GT(std::abs(rho / weights - 1), 0.05);  // the surface alone would miss
}

TEST(Table, NoiseStaysBounded) {
  const std::vector<NetworkTiming> fitted = sampled(staircase_machine, 12, 5, 1.1, 0.1);
  const std::vector<NetworkTiming> held = sampled(staircase_machine, 20, 6, 1.1);
  EXPECT_LT(prediction_error(*fit_latency_table(fitted, 16), held).worst, 0.1);
}

TEST(Table, OutOfRangeScalesByMacsAndIsReported) {
  const Architecture arch = slim_vgg();
  const NetworkTiming t = time_on(staircase_machine, arch);
  const LatencyModelPtr model = fit_latency_table({&t, 1}, 16);
  std::vector<std::int64_t> w = widths(arch);
  w[0] *= 4;  // 16 -> 64: the stem's output and the next layer's input leave the table
  const Graph wide = fuse(lower(with_widths(arch, w)));
  EXPECT_NEAR(model->predict(wide.ops[0].spec), 4 * t.op_ms.at(0), 1e-12);
  EXPECT_FALSE(model->covers(wide.ops[0].spec));
  const std::vector<std::string> lines = model->extrapolated(wide);
  ASSERT_FALSE(lines.empty());
  EXPECT_CONTAINS(lines[0], "features.0");
}

TEST(Table, UnknownSizesBorrowTheMostSimilarKey) {
  const LatencyModelPtr model = fit_latency_table(sampled(staircase_machine, 10, 7), 16);
  const Graph large = fuse(lower(with_resolution(slim_vgg(), 40)));
  const double predicted = model->predict(large);
  const double truth = time_on(staircase_machine, with_resolution(slim_vgg(), 40)).total_ms;
  EXPECT_NEAR(predicted / truth, 1, 0.2);
  EXPECT_FALSE(model->extrapolated(large).empty());
  // An untied residual network grows projections that no timed network had.
  const Architecture res = with_resolution(zoo("preact_resnet18"), 64);
  const NetworkTiming t = time_on(staircase_machine, res);
  std::vector<std::int64_t> w = widths(res);
  w[4] += 16;  // out of stage 1's second block: its shortcut becomes a 1x1 convolution
  const LatencyModelPtr resnet = fit_latency_table({&t, 1}, 16);
  EXPECT_GT(resnet->predict(with_widths(res, w)), resnet->predict(res));
}

TEST(Table, RefusesAKindThatWasNeverTimed) {
  const LatencyModelPtr model = fit_latency_table(sampled(staircase_machine, 5, 8), 16);
  EXPECT_THROW(model->predict(zoo("preact_resnet18")), ConfigError);  // lone batch norms
}

}  // namespace
}  // namespace hac
