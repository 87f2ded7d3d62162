// Algorithm 1: goldens, and properties over random problems.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/random.h"
#include "scaling/methods/width_scaling.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using Widths = std::vector<std::int64_t>;
constexpr double kInf = std::numeric_limits<double>::infinity();

std::int64_t sum(const Widths& w) { return std::accumulate(w.begin(), w.end(), std::int64_t{0}); }

// Parameters are the sum of the widths, latency a thousandth of it.
WideningProblem toy(const Widths& widths, const std::vector<ImportanceLaw>& laws) {
  WideningProblem p{.widths = widths, .laws = laws};
  for (std::size_t l = 0; l < widths.size(); ++l) {
    p.names.push_back("l" + std::to_string(l));
    p.groups.push_back({static_cast<int>(l)});
  }
  p.cost = [](const Widths& w) {
    return NetworkCost{.latency_ms = 1e-3 * static_cast<double>(sum(w)), .params = sum(w)};
  };
  return p;
}

WideningProblem golden_toy() {
  return toy({16, 32, 64}, std::vector<ImportanceLaw>(3, {.a = 1, .b = -1}));
}

std::vector<int> choices(const WideningResult& r) {
  std::vector<int> layers;
  for (const ScalingStep& s : r.steps) layers.push_back(s.layer);
  return layers;
}

TEST(Algorithm1, ToyGolden) {
  const Budget budget{.params = 150};
  const WideningResult back = widen(golden_toy(), budget, {.stride = 10});
  EXPECT_EQ(back.widths(), (Widths{36, 42, 64}));
  EXPECT_EQ(choices(back), (std::vector<int>{0, 0, 1}));
  EXPECT_EQ(back.stop, StopReason::params);
  EXPECT_EQ(back.scaled.params, 142);
}

// The paper tests its limits at the head of the loop, before the update. So the step that breaks
// them is taken, seen by the next test, and returned: one step more than rollback keeps.
TEST(Algorithm1, PaperPolicyOvershootsByOneStep) {
  const Budget budget{.params = 150};
  const WideningResult paper =
      widen(golden_toy(), budget, {.policy = StepPolicy::paper, .stride = 10});
  EXPECT_EQ(paper.widths(), (Widths{46, 42, 64}));
  EXPECT_EQ(paper.scaled.params, 152);
  const WideningResult back = widen(golden_toy(), budget, {.stride = 10});
  ASSERT_EQ(paper.steps.size(), back.steps.size() + 1);
  EXPECT_TRUE(std::equal(back.steps.begin(), back.steps.end(), paper.steps.begin()));

  // Line by line as printed.
  Widths c{16, 32, 64};
  while (sum(c) <= 150) {
    std::size_t i = 0;
    for (std::size_t l = 1; l < 3; ++l) {
      if (1.0 / static_cast<double>(c[l]) > 1.0 / static_cast<double>(c[i])) i = l;
    }
    c[i] += 10;
  }
  EXPECT_EQ(paper.widths(), c);
}

TEST(Algorithm1, TieGoesToTheFirst) {
  const WideningProblem p = toy({16, 16}, std::vector<ImportanceLaw>(2, {.a = 1, .b = -1}));
  const WideningResult r = widen(p, {.params = 52}, {.stride = 10});
  EXPECT_EQ(choices(r), (std::vector<int>{0, 1}));
}

TEST(Algorithm1, StopReasons) {
  const auto stop = [](const Budget& b, const WideningOptions& o) {
    return widen(golden_toy(), b, o).stop;
  };
  EXPECT_EQ(stop({.latency_ms = .15}, {}), StopReason::latency);
  EXPECT_EQ(stop({.params = 150}, {}), StopReason::params);
  EXPECT_EQ(stop({.latency_ms = .15, .params = 150}, {}), StopReason::latency_and_params);
  EXPECT_EQ(stop({.latency_ms = 1e9}, {.width_cap = 100}), StopReason::width_cap);
  EXPECT_EQ(stop({.latency_ms = 1e9}, {.step_cap = 3}), StopReason::step_cap);
  EXPECT_EQ(stop({.latency_ms = 1e9}, {.step_cap = 0}), StopReason::step_cap);
  for (const Budget& b : {Budget{.params = 111}, Budget{.latency_ms = .111}}) {
    for (const StepPolicy policy : {StepPolicy::paper, StepPolicy::rollback, StepPolicy::fill}) {
      const WideningResult r = widen(golden_toy(), b, {.policy = policy});
      EXPECT_EQ(r.stop, StopReason::infeasible);
      EXPECT_EQ(r.widths(), (Widths{16, 32, 64}));
      EXPECT_TRUE(r.steps.empty());
    }
  }
}

TEST(Algorithm1, SlackWidensTheLatencyLimit) {
  const WideningResult tight = widen(golden_toy(), {.latency_ms = .15}, {.stride = 10});
  const WideningResult slack =
      widen(golden_toy(), {.latency_ms = .15, .latency_slack = .1}, {.stride = 10});
  EXPECT_EQ(sum(tight.widths()), 142);
  EXPECT_EQ(sum(slack.widths()), 162);
}

TEST(Algorithm1, GainCountsTheCost) {
  WideningProblem p = toy({16, 16}, {{.a = 1, .b = -1}, {.a = .9, .b = -1}});
  p.cost = [](const Widths& w) {
    return NetworkCost{.latency_ms = static_cast<double>(10 * w[0] + w[1]),
                       .params = w[0] + 5 * w[1]};
  };
  const auto first = [&](WideningCriterion gain) {
    return widen(p, {.latency_ms = 1e6, .params = 1e6}, {.criterion = gain, .step_cap = 1})
        .steps[0];
  };
  EXPECT_EQ(first(WideningCriterion::plain).layer, 0);
  EXPECT_EQ(first(WideningCriterion::per_latency).layer, 1);
  EXPECT_EQ(first(WideningCriterion::per_param).layer, 0);
  EXPECT_NEAR(first(WideningCriterion::per_latency).importance, .9 / 16,
              1e-15);  // I itself, not I per cost
}

// A step that the staircase gives for nothing comes before any that costs.
TEST(Algorithm1, FreeStepsComeFirst) {
  WideningProblem p = toy({8, 8}, {{.a = 1, .b = -1}, {.a = 1e-3, .b = -1}});
  p.cost = [](const Widths& w) {
    return NetworkCost{.latency_ms = static_cast<double>(w[0] + 16 * ceil_div(w[1], 16))};
  };
  const WideningResult r =
      widen(p, {.latency_ms = 1000},
            {.criterion = WideningCriterion::per_latency, .stride = 8, .step_cap = 2});
  EXPECT_EQ(choices(r), (std::vector<int>{1, 0}));
}

TEST(Algorithm1, TiedLayersGrowTogether) {
  WideningProblem p = golden_toy();
  p.groups = {{0, 2}, {1}};
  p.laws[2].a = 7;
  const WideningResult r = widen(p, {.params = 200}, {.stride = 10});
  for (const ScalingStep& s : r.steps) EXPECT_NE(s.layer, 2);
  EXPECT_EQ(r.layers[0].after - 16, r.layers[2].after - 64);
  EXPECT_NEAR(r.steps[0].importance, 0.5 * (1.0 / 16 + 7.0 / 64), 1e-15);  // mean over members
  EXPECT_CONTAINS(r.layers[2].reason, "tied to l0");
}

TEST(Algorithm1, RefusesWhatItCannotRun) {
  const Budget budget{.params = 150};
  EXPECT_THROW(widen(golden_toy(), {}, {}), ConfigError);  // no limit at all
  EXPECT_THROW(widen(golden_toy(), budget, {.stride = 0}), ConfigError);
  EXPECT_THROW(widen(golden_toy(), budget, {.width_cap = 0}), ConfigError);
  EXPECT_ERROR(widen(golden_toy(), budget, {.stride = 65, .width_cap = 64}), ConfigError,
               "stride of at most the width cap, 64, got 65");
  EXPECT_THROW(widen(golden_toy(), budget, {.step_cap = -1}), ConfigError);
  EXPECT_THROW(widen(golden_toy(), {.params = 150, .latency_slack = -1}, {}), ConfigError);
  WideningProblem p = golden_toy();
  p.laws.pop_back();
  EXPECT_THROW(widen(p, budget, {}), ConfigError);
  p = golden_toy();
  p.laws[1].a = NAN;
  EXPECT_THROW(widen(p, budget, {}), ConfigError);
  p = golden_toy();
  p.groups = {{0, 1}, {1, 2}};
  EXPECT_THROW(widen(p, budget, {}), ConfigError);
}

struct RandomCase {
  WideningProblem problem;
  Budget budget;
  WideningOptions options;
};

// A chain of 2 to 9 layers whose parameters are 9 C_in C_out + C_out and whose latency is a
// staircase of the same, with laws of any falling exponent.
RandomCase random_case(std::uint64_t seed) {
  const Philox random{seed, 1};
  const std::size_t n = 2 + random.below(0, 8);
  Widths widths;
  std::vector<ImportanceLaw> laws;
  for (std::size_t l = 0; l < n; ++l) {
    widths.push_back(1 + random.below(10 + l, 64));
    laws.push_back({.a = std::pow(10.0, -6 * random.uniform(100 + l)),
                    .b = -0.05 - 2.5 * random.uniform(200 + l)});
  }
  RandomCase c{.problem = toy(widths, laws)};
  c.problem.cost = [](const Widths& w) {
    std::int64_t in = 3;
    double in_block = 16;
    NetworkCost cost;
    for (const std::int64_t out : w) {
      const auto block = static_cast<double>(round_up(out, 16));
      cost.params += 9 * in * out + out;
      cost.latency_ms += 0.01 + 1e-6 * in_block * block;
      cost.memory_bytes += 4096 * out;
      in = out;
      in_block = block;
    }
    return cost;
  };
  if (random.below(1, 2) == 0 && n > 2) {
    c.problem.groups.pop_back();
    c.problem.groups.back() = {static_cast<int>(n) - 2, static_cast<int>(n) - 1};
  }
  const NetworkCost base = c.problem.cost(widths);
  const std::uint32_t limits = 1 + random.below(2, 7);  // a set of bits
  const auto room = [&](int i) { return 1 + 3 * random.uniform(i); };
  if (limits & 1) c.budget.latency_ms = base.latency_ms * room(3);
  if (limits & 2) c.budget.params = std::floor(static_cast<double>(base.params) * room(4));
  if (limits & 4) c.budget.memory_bytes = static_cast<double>(base.memory_bytes) * room(7);
  c.options.stride = 1 + random.below(5, 16);
  c.options.criterion = static_cast<WideningCriterion>(random.below(6, 3));
  c.options.width_cap = 600;
  return c;
}

TEST(Algorithm1, PropertiesOverRandomProblems) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomCase c = random_case(seed);
    std::vector<WideningResult> results;
    for (const StepPolicy policy : {StepPolicy::paper, StepPolicy::rollback, StepPolicy::fill}) {
      c.options.policy = policy;
      const WideningResult r = widen(c.problem, c.budget, c.options);
      const Widths w = r.widths();
      for (const LayerPlan& layer : r.layers) {
        ASSERT_GE(layer.after, layer.before);
        ASSERT_EQ((layer.after - layer.before) % c.options.stride, 0);
        ASSERT_LE(layer.after, std::max<std::int64_t>(600, layer.before));
      }
      ASSERT_EQ(r.scaled, c.problem.cost(w));
      ASSERT_NE(r.stop, StopReason::infeasible);
      if (policy != StepPolicy::paper) {
        ASSERT_TRUE(c.budget.allows(r.scaled));
      }
      if (!r.steps.empty()) {
        ASSERT_EQ(r.steps.back().params, r.scaled.params);
      }
      results.push_back(r);
    }
    const std::size_t paper = results[0].steps.size(), back = results[1].steps.size();
    ASSERT_TRUE(paper == back + 1 || results[1].stop == StopReason::width_cap);
    ASSERT_GE(results[2].steps.size(), back);  // fill only ever goes on
    ASSERT_TRUE(
        std::equal(results[1].steps.begin(), results[1].steps.end(), results[2].steps.begin()));
    // fill leaves no layer that still fits.
    if (results[2].stop != StopReason::step_cap) {
      for (const std::vector<int>& group : c.problem.groups) {
        Widths w = results[2].widths();
        bool capped = false;
        for (const int l : group) capped |= (w[l] += c.options.stride) > c.options.width_cap;
        ASSERT_TRUE(capped || !c.budget.allows(c.problem.cost(w)));
      }
    }
  }
}

TEST(Algorithm1, OnlyRatiosOfImportanceMatter) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    RandomCase c = random_case(seed);
    const WideningResult before = widen(c.problem, c.budget, c.options);
    for (ImportanceLaw& law : c.problem.laws) law.a *= 1024;  // exact in binary
    const WideningResult after = widen(c.problem, c.budget, c.options);
    EXPECT_EQ(after.widths(), before.widths()) << "seed " << seed;
    EXPECT_EQ(choices(after), choices(before)) << "seed " << seed;
  }
}

// Water filling: at exit, max I / min I over the widened layers <= max (C / (C - stride))^|b|.
TEST(Algorithm1, WidenedLayersShareALevel) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    RandomCase c = random_case(seed);
    c.options.criterion = WideningCriterion::plain;
    c.problem.groups.clear();
    for (int l = 0; l < static_cast<int>(c.problem.widths.size()); ++l) {
      c.problem.groups.push_back({l});
    }
    c.options.width_cap = 1 << 20;
    const WideningResult r = widen(c.problem, c.budget, c.options);
    double most = 0, least = kInf, bound = 1;
    for (std::size_t l = 0; l < r.layers.size(); ++l) {
      const LayerPlan& layer = r.layers[l];
      if (layer.after == layer.before) continue;
      const auto width = static_cast<double>(layer.after);
      const double importance = c.problem.laws[l](width);
      most = std::max(most, importance);
      least = std::min(least, importance);
      const double before_step = width - static_cast<double>(c.options.stride);
      bound = std::max(bound, std::pow(width / before_step, -c.problem.laws[l].b));
    }
    if (most > 0) {
      EXPECT_LE(most / least, bound * (1 + 1e-12)) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace hac
