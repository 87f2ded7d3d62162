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
      if (c > 4 && (c - 1) % 16 != 0) {
        // The widths themselves are rounded up: all of a block costs the same (layers before the
        // classifier, whose input is not channels alone, included). Up to 3 are laid out plainly.
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

// A network of one operation.
NetworkTiming time_op(const OpSpec& op, double ms) {
  NetworkTiming t{.graph = {.input = op.in_shape()}, .op_ms = {{0, ms}}, .total_ms = ms};
  t.graph.ops.push_back({.spec = op, .inputs = {-1}});
  return t;
}

// A machine that the surface cannot follow: between the nodes their ratios to it count. The answer
// is worked out here from the formula of the header.
TEST(Table, RatiosAreInterpolatedBetweenNodes) {
  const auto pool = [](std::int64_t c, double ms) {
    return time_op(Pool2dSpec{.n = 1, .c = c, .h = 8, .w = 8}, ms);
  };
  const std::vector<NetworkTiming> timings = {pool(16, 1), pool(64, 3), pool(256, 3)};
  const LatencyModelPtr model = fit_latency_table(timings, 16);
  // Relative least squares of p0 + p1 c, then rho = ms / f at the three nodes.
  const std::vector<double> p =
      nnls({{1, 16}, {1.0 / 3, 64.0 / 3}, {1.0 / 3, 256.0 / 3}}, {1, 1, 1});
  const auto f = [&](double c) { return p[0] + p[1] * c; };
  double weights = 0, rho = 0;
  for (const NetworkTiming& t : timings) {
    const auto c = static_cast<double>(t.graph.ops[0].spec.widths().in);
    const double weight = 1 / std::pow(std::log(c / 128), 4);
    weights += weight;
    rho += weight * t.total_ms / f(c);
  }
  EXPECT_NEAR(model->predict(pool(128, 1).graph), f(128) * rho / weights, 1e-9);
  EXPECT_GT(std::abs(rho / weights - 1), 0.05);  // the surface alone would miss
  // Outside: the surface by the ratio at the nearest point.
  EXPECT_NEAR(model->predict(pool(1024, 1).graph), f(1024) * 3 / f(256), 1e-9);
  EXPECT_NEAR(model->predict(pool(4, 1).graph), 1, 1e-9);  // a block
}

TEST(Table, NoiseStaysBounded) {
  const std::vector<NetworkTiming> fitted = sampled(staircase_machine, 12, 5, 1.1, 0.1);
  const std::vector<NetworkTiming> held = sampled(staircase_machine, 20, 6, 1.1);
  EXPECT_LT(prediction_error(*fit_latency_table(fitted, 16), held).worst, 0.1);
}

TEST(Table, OutOfRangeFollowsTheSurfaceAndIsReported) {
  const std::vector<NetworkTiming> timings = sampled(staircase_machine, 10, 7);
  const LatencyModelPtr model = fit_latency_table(timings, 16);
  std::vector<std::int64_t> w = widths(slim_vgg());
  w[0] = 2048;  // the stem's output and the next layer's input leave the table
  const Graph wide = fuse(lower(with_widths(slim_vgg(), w)));
  const Graph large = fuse(lower(with_resolution(slim_vgg(), 96)));
  for (const Graph& graph : {wide, large}) {
    const OpSpec& stem = graph.ops[0].spec;
    EXPECT_NEAR(model->predict(stem) / staircase_machine(stem), 1, 0.01) << stem.str();
    EXPECT_FALSE(model->covers(stem));
    const std::vector<std::string> lines = model->extrapolated(graph);
    ASSERT_FALSE(lines.empty());
    EXPECT_CONTAINS(lines[0], "features.0");
  }
  EXPECT_FALSE(model->covers(Conv2dSpec{.c = 16, .h = 8, .w = 8, .k = 16, .r = 5, .s = 5}));
}

// Wide layers on small maps and narrow ones on large maps do not cover wide ones on large maps.
TEST(Table, LargerInAllWaysTogetherIsReported) {
  const auto conv = [](std::int64_t size, std::int64_t channels) {
    return Conv2dSpec{.c = channels, .h = size, .w = size, .k = channels};
  };
  const LatencyModelPtr model = fit_latency_table(
      std::vector{time_op(conv(32, 64), 1), time_op(conv(16, 128), 1), time_op(conv(4, 512), 1)},
      16);
  EXPECT_TRUE(model->covers(conv(16, 64)));
  EXPECT_TRUE(model->covers(conv(4, 512)));
  EXPECT_FALSE(model->covers(conv(32, 512)));
  EXPECT_FALSE(model->covers(conv(16, 256)));
}

TEST(Table, ADepthwiseLayerHasOneWidth) {
  const auto conv = [](std::int64_t channels) {
    return Conv2dSpec{.c = channels, .h = 8, .w = 8, .k = channels, .groups = channels};
  };
  const LatencyModelPtr model = fit_latency_table(std::vector{time_op(conv(32), 1)}, 16);
  EXPECT_NEAR(model->predict(conv(128)), 4, 1e-12);
}

// However noisy the times, nothing wider or larger takes less, or nothing, outside their range.
TEST(Table, OutOfRangeIsMonotoneAndPositive) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const LatencyModelPtr model =
        fit_latency_table(sampled(staircase_machine, 6, seed, 1, 0.9), 16);
    const Graph graph = fuse(lower(slim_vgg()));
    const auto conv = std::get<Conv2dSpec>(graph.ops[2].spec);
    double by_in = 0, by_out = 0, by_size = 0;
    for (std::int64_t x = 2048; x <= 1 << 17; x *= 2) {
      Conv2dSpec large = conv;
      large.h = large.w = x;
      for (const auto& [last, op] : {std::pair(&by_in, OpSpec(conv).with({x, conv.k})),
                                     {&by_out, OpSpec(conv).with({conv.c, x})},
                                     {&by_size, OpSpec(large)}}) {
        const double ms = model->predict(op);
        EXPECT_GT(ms, 0) << op.str();
        EXPECT_GE(ms, *last) << op.str();
        *last = ms;
      }
    }
  }
}

// One value of a coordinate does not tell what of the time does not depend on it.
TEST(Table, OneSizeGrowsInProportion) {
  const auto conv = [](std::int64_t size, std::int64_t k) {
    return Conv2dSpec{.c = 3, .h = size, .w = size, .k = k};
  };
  const std::vector<NetworkTiming> timings = {time_op(conv(32, 16), 1.5), time_op(conv(32, 64), 3)};
  const LatencyModelPtr model = fit_latency_table(timings, 16);
  EXPECT_NEAR(model->predict(conv(64, 16)), 4 * 1.5, 1e-9);
  EXPECT_NEAR(model->predict(conv(16, 64)), 3 / 4.0, 1e-9);
  EXPECT_NEAR(model->predict(conv(32, 32)), 2, 1e-9);  // 1 + k / 32
}

// An image is laid out plainly on the CPU, so its stem takes less than a layer of one block, which
// has the same spec but for the widths.
TEST(Table, AnImageSharesNoNodeWithABlock) {
  const auto conv = [](std::int64_t c) { return Conv2dSpec{.c = c, .h = 32, .w = 32, .k = 16}; };
  const std::vector<NetworkTiming> timings = {time_op(conv(1), 1), time_op(conv(3), 2),
                                              time_op(conv(16), 7)};
  const LatencyModelPtr model = fit_latency_table(timings, 16);
  EXPECT_NEAR(model->predict(conv(1)), 1, 1e-12);
  EXPECT_NEAR(model->predict(conv(3)), 2, 1e-12);
  EXPECT_NEAR(model->predict(conv(16)), 7, 1e-12);
  EXPECT_EQ(model->predict(conv(4)), model->predict(conv(16)));
}

// The baseline alone on a ladder of sizes, as for scaling by resolution.
std::vector<NetworkTiming> with_ladder(Machine machine, double noise = 0) {
  std::vector<NetworkTiming> timings = sampled(machine, 10, 7, 1.1, noise);
  for (const std::int64_t size : {32, 48, 64, 96, 128, 192, 256}) {
    timings.push_back(
        time_on(machine, with_resolution(slim_vgg(), size), 1.1, noise, timings.size()));
  }
  return timings;
}

TEST(Table, SizesBetweenTimedOnesAreInterpolated) {
  const LatencyModelPtr model = fit_latency_table(with_ladder(staircase_machine), 16);
  double last = 0;
  for (std::int64_t size = 32; size <= 256; size += 8) {
    const Architecture arch = with_resolution(slim_vgg(), size);
    const double ms = model->predict(arch);
    EXPECT_NEAR(ms / time_on(staircase_machine, arch, 1.1).total_ms, 1, 0.01) << size;
    EXPECT_GT(ms, last) << size;
    EXPECT_TRUE(model->covers(fuse(lower(arch)).ops[0].spec)) << size;
    last = ms;
  }
}

TEST(Table, CrossValidationOfALadder) {
  const std::vector<NetworkTiming> exact = with_ladder(staircase_machine);
  EXPECT_LT(cross_validate(LatencyModelKind::table, exact, 5, 16).worst, 0.02);
  const std::vector<NetworkTiming> noisy = with_ladder(staircase_machine, 0.05);
  EXPECT_LT(cross_validate(LatencyModelKind::table, noisy, 5, 16).median, 0.03);
}

// Features from 1 to positions * c_in * c_out of 1e12.
TEST(Table, FitsLargeImages) {
  const auto conv = [](std::int64_t size, std::int64_t c, std::int64_t k) {
    return Conv2dSpec{.c = c, .h = size, .w = size, .k = k};
  };
  const auto truth = [](const Conv2dSpec& s) {
    const auto px = static_cast<double>(s.h * s.w);
    return 0.01 + 1e-10 * px * static_cast<double>(s.c * s.k) + 2e-8 * px;
  };
  std::vector<NetworkTiming> timings;
  for (const std::int64_t size : {4, 64, 1024}) {
    for (const std::int64_t c : {16, 1024}) {
      for (const std::int64_t k : {16, 1024}) {
        timings.push_back(time_op(conv(size, c, k), truth(conv(size, c, k))));
      }
    }
  }
  const LatencyModelPtr model = fit_latency_table(timings, 16);
  for (const auto& s : {conv(16, 64, 256), conv(500, 32, 32), conv(2048, 512, 2048)}) {
    EXPECT_NEAR(model->predict(s) / truth(s), 1, 1e-6) << s.str();
  }
}

TEST(Table, AnUnknownKernelTakesTheMostSimilarOfItsKind) {
  const Conv2dSpec dense{.c = 32, .h = 8, .w = 8, .k = 32};
  Conv2dSpec strided = dense, added = dense, pointwise = dense, depthwise = dense, large = dense;
  strided.stride = 2;
  added.add = true;
  pointwise.r = pointwise.s = 1;
  pointwise.pad = 0;
  depthwise.groups = 32;
  large.r = large.s = 9;
  const LatencyModelPtr one = fit_latency_table(std::vector{time_op(dense, 9)}, 16);
  EXPECT_NEAR(one->predict(pointwise), 1, 1e-12);
  EXPECT_NEAR(one->predict(depthwise), 9.0 / 32, 1e-12);
  EXPECT_NEAR(one->predict(added), 9, 1e-12);
  EXPECT_NEAR(one->predict(strided), 9.0 / 4, 1e-12);  // of as many positions
  const LatencyModelPtr all =
      fit_latency_table(std::vector{time_op(dense, 9), time_op(strided, 90), time_op(large, 900),
                                    time_op(depthwise, 9000)},
                        16);
  EXPECT_NEAR(all->predict(pointwise), 1, 1e-12);
  EXPECT_NEAR(all->predict(added), 9, 1e-12);
  added.stride = 2;
  EXPECT_NEAR(all->predict(added), 90, 1e-12);
  EXPECT_FALSE(all->covers(added));
  Conv2dSpec biased = dense, residual = dense;
  biased.bias = residual.bias = residual.add = true;
  const LatencyModelPtr fused =
      fit_latency_table(std::vector{time_op(biased, 9), time_op(residual, 18)}, 16);
  residual.activation = Activation::relu;
  EXPECT_NEAR(fused->predict(residual), 18, 1e-12);
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
