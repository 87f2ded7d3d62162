// Widening to the edges of the staircase, by hand and over random problems.

#include <algorithm>
#include <numeric>

#include "kernels/core/types.h"
#include "models/zoo/zoo.h"
#include "scaling/methods/optimum.h"
#include "scaling/methods/width_scaling.h"
#include "tests/support/macs_latency.h"
#include "tests/support/messages.h"
#include "tests/support/random_laws.h"

namespace hac {
namespace {

using WidthList = std::vector<std::int64_t>;

// Each layer takes a millisecond a block, or, of block 1, a millisecond a kernel; parameters are
// the sum of the widths.
WideningProblem toy(const WidthList& widths, const std::vector<double>& a, std::int64_t block) {
  WideningProblem p{.widths = widths};
  for (int l = 0; l < std::ssize(widths); ++l) {
    p.names.push_back("l" + std::to_string(l));
    p.groups.push_back({l});
    p.laws.push_back({.a = a[l], .b = -1});
  }
  p.cost = [block](const WidthList& w) {
    NetworkCost cost;
    for (const std::int64_t c : w) {
      cost.latency_ms += static_cast<double>(ceil_div(c, block));
      cost.params += c;
    }
    return cost;
  };
  return p;
}

WidthList after_steps(const WideningResult& r) {
  WidthList all;
  for (const ScalingStep& s : r.steps) all.push_back(1000 * s.layer + s.width);
  return all;
}

TEST(EdgeWidening, FreeKernelsFirstThenWholeBlocks) {
  const WideningProblem p = toy({20, 16}, {1e-6, 1}, 16);
  const WideningResult r = widen_to_edges(p, {.latency_ms = 5}, {.stride = 8});
  // Layer 0 to its edge, however little it matters; the rest to the layer that does.
  EXPECT_EQ(after_steps(r), (WidthList{32, 1032, 1048}));
  EXPECT_EQ(r.widths(), (WidthList{32, 48}));
  EXPECT_EQ(r.stop, StopReason::latency);
  EXPECT_EQ(r.scaled, p.cost({32, 48}));
  EXPECT_NEAR(r.steps[0].importance * 12, width_gain(p.laws[0], 20, 32), 1e-18);
  EXPECT_CONTAINS(r.layers[0].reason, "break latency");
}

TEST(EdgeWidening, AJumpIsAtLeastAStride) {
  const WideningResult r = widen_to_edges(toy({8}, {1}, 4), {.latency_ms = 6}, {.stride = 6});
  EXPECT_EQ(after_steps(r), (WidthList{16, 24}));
}

TEST(EdgeWidening, SmallerEdgesWhereTheJumpDoesNotFit) {
  const WideningResult r = widen_to_edges(toy({8}, {1}, 4), {.latency_ms = 5}, {.stride = 6});
  EXPECT_EQ(after_steps(r), (WidthList{16, 20}));
  // Nothing fits after the first jump.
  EXPECT_EQ(widen_to_edges(toy({8}, {1}, 4), {.latency_ms = 4}, {.stride = 6}).widths(),
            (WidthList{16}));
}

TEST(EdgeWidening, ASmoothLatencyHasAnEdgeEachStride) {
  const WideningProblem p = toy({16, 32}, {1, 3}, 1);
  const WideningResult r = widen_to_edges(p, {.latency_ms = 100}, {.stride = 8});
  WidthList now{16, 32};
  for (const ScalingStep& s : r.steps) {
    const double first = width_gain(p.laws[0], now[0], now[0] + 8);
    const double second = width_gain(p.laws[1], now[1], now[1] + 8);
    EXPECT_EQ(s.layer, first >= second ? 0 : 1);  // both cost 8 ms
    now[s.layer] += 8;
    EXPECT_EQ(s.width, now[s.layer]);
  }
  EXPECT_EQ(r.widths(), now);
  EXPECT_EQ(now[0] + now[1], 96);
}

TEST(EdgeWidening, TiedLayersGrowTogetherAndCapsHold) {
  WideningProblem p = toy({20, 24, 16}, {1, 1, 1}, 16);
  p.groups = {{0, 1}, {2}};
  const WideningResult r = widen_to_edges(p, {.latency_ms = 100}, {.stride = 8, .width_cap = 60});
  EXPECT_EQ(r.stop, StopReason::width_cap);
  EXPECT_EQ(r.widths(), (WidthList{56, 60, 60}));
  EXPECT_CONTAINS(r.layers[2].reason, "width cap");
  const WideningResult few = widen_to_edges(p, {.latency_ms = 100}, {.stride = 8, .step_cap = 1});
  EXPECT_EQ(few.stop, StopReason::step_cap);
  EXPECT_EQ(few.steps.size(), 1u);
  const WideningResult none = widen_to_edges(p, {.latency_ms = 1});
  EXPECT_EQ(none.stop, StopReason::infeasible);
  EXPECT_EQ(none.widths(), p.widths);
  EXPECT_ERROR(widen_to_edges(p, {}), ConfigError, "limit");
}

// Of networks: all free kernels are taken, the budget holds, and no plan gains more than the bound.
TEST(EdgeWidening, LeavesNoFreeKernelsOfANetwork) {
  const StaircaseLatency model;
  for (const char* name : {"vgg11", "preact_resnet18"}) {
    const Architecture arch = scale_width(with_resolution(zoo(name), 32), 0.2);
    const std::vector<ImportanceLaw> laws = random_laws(arch, 3);
    const NetworkCost base = cost_of(arch, model);
    const Budget budget{.latency_ms = 1.1 * base.latency_ms,
                        .params = 2.0 * static_cast<double>(base.params)};
    const ScalingPlan plan =
        with_gap(decide_by_edges(arch, laws, model, budget, {}), arch, laws, model);
    const WidthList now = plan.result.widths();
    const NetworkCost cost = cost_of(with_widths(arch, now), model);
    EXPECT_EQ(plan.result.scaled, cost);
    EXPECT_TRUE(budget.allows(cost));
    for (std::size_t l = 0; l < now.size(); ++l) {
      WidthList more = now;
      ++more[l];
      const NetworkCost next = cost_of(with_widths(arch, more), model);
      EXPECT_TRUE(next.latency_ms > cost.latency_ms || !budget.allows(next)) << name << " " << l;
    }
    ASSERT_TRUE(plan.optimality);
    EXPECT_GE(plan.optimality->gap(), 0);
  }
}

}  // namespace
}  // namespace hac
