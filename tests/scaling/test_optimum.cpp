// The best widths within a budget, against exhaustive search and against Algorithm 1.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/random.h"
#include "models/zoo/zoo.h"
#include "scaling/methods/choice.h"
#include "scaling/methods/elimination.h"
#include "scaling/methods/optimum.h"
#include "scaling/methods/width_costs.h"
#include "tests/support/macs_latency.h"
#include "tests/support/messages.h"
#include "tests/support/random_architecture.h"
#include "tests/support/random_laws.h"

namespace hac {
namespace {

using WidthList = std::vector<std::int64_t>;

// Calls f for every choice of states.
template <class F>
void each(const std::vector<int>& sizes, F&& f) {
  States states(sizes.size(), 0);
  for (std::size_t v = 0; v < sizes.size();) {
    f(states);
    for (v = 0; v < sizes.size() && ++states[v] == sizes[v]; ++v) states[v] = 0;
  }
}

double at(const std::vector<int>& scope, const std::vector<int>& sizes,
          const std::vector<double>& table, const States& states) {
  std::size_t i = 0;
  for (const int v : scope) i = i * sizes[v] + states[v];
  return table[i];
}

// Three to five variables with up to four states; tables over up to three, gains that rise.
struct RandomChoice {
  std::vector<int> sizes;
  ChoiceProblem problem;

  explicit RandomChoice(std::uint64_t seed) {
    const Philox random{seed, 7};
    std::uint64_t draw = 0;
    const auto uniform = [&] { return static_cast<double>(random.uniform(draw++)); };
    const int n = 3 + static_cast<int>(random.below(draw++, 3));
    double most_ms = 0, most_params = 0, ms = 0, params = 0;
    for (int v = 0; v < n; ++v) {
      sizes.push_back(1 + static_cast<int>(random.below(draw++, 4)));
      problem.gains.emplace_back(1, 0);
      while (std::ssize(problem.gains[v]) < sizes[v]) {
        problem.gains[v].push_back(problem.gains[v].back() + uniform());
      }
    }
    for (int t = 0; t < n + 1; ++t) {
      std::vector<int> scope;
      for (int v = 0; v < n; ++v) {
        const bool near = std::abs(v - t) < 2 || random.below(draw++, 6) == 0;
        if (near && scope.size() < 3) scope.push_back(v);
      }
      std::size_t entries = 1;
      for (const int v : scope) entries *= sizes[v];
      problem.scopes.push_back(scope);
      problem.ms.emplace_back();
      problem.params.emplace_back();
      for (std::size_t i = 0; i < entries; ++i) {
        const double level = static_cast<double>(i) / static_cast<double>(entries);
        problem.ms.back().push_back(level + 0.3 * uniform());
        problem.params.back().push_back(std::floor(100 * (level + 0.5 * uniform())));
      }
      ms += problem.ms.back()[0], params += problem.params.back()[0];
      most_ms += problem.ms.back().back(), most_params += problem.params.back().back();
    }
    const std::uint32_t limits = 1 + random.below(draw++, 3);
    if (limits & 1) problem.ms_limit = ms + uniform() * std::abs(most_ms - ms);
    if (limits & 2) problem.params_limit = params + uniform() * std::abs(most_params - params);
  }

  bool within(const States& states) const {
    double ms = 0, params = 0;
    for (std::size_t t = 0; t < problem.scopes.size(); ++t) {
      ms += at(problem.scopes[t], sizes, problem.ms[t], states);
      params += at(problem.scopes[t], sizes, problem.params[t], states);
    }
    return ms <= problem.ms_limit && params <= problem.params_limit;
  }
  double gain(const States& states) const {
    double sum = 0;
    for (std::size_t v = 0; v < sizes.size(); ++v) sum += problem.gains[v][states[v]];
    return sum;
  }
};

TEST(Elimination, IsTheLargestSumOfAll) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const RandomChoice c(seed);
    std::vector<std::vector<int>> scopes = c.problem.scopes;
    for (int v = 0; v < std::ssize(c.sizes); ++v) scopes.push_back({v});
    std::vector<std::vector<double>> tables = c.problem.ms;
    tables.insert(tables.end(), c.problem.gains.begin(), c.problem.gains.end());
    const auto sum = [&](const States& states) {
      double total = 0;
      for (std::size_t t = 0; t < scopes.size(); ++t) {
        total += at(scopes[t], c.sizes, tables[t], states);
      }
      return total;
    };
    double most = -1;
    each(c.sizes, [&](const States& states) { most = std::max(most, sum(states)); });
    const Elimination elimination(c.sizes, scopes);
    const MaxSum found(elimination, tables);
    ASSERT_NEAR(found.best(), most, 1e-12) << "seed " << seed;
    ASSERT_NEAR(sum(found.argmax()), most, 1e-12) << "seed " << seed;
    // The states of the variable that is settled first: each one's best total.
    std::vector<double> scores;
    found.scores(0, States(c.sizes.size(), 0), scores);
    std::vector<double> best_of(scores.size(), -1);
    const int v = found.variable(0);
    each(c.sizes, [&](const States& s) { best_of[s[v]] = std::max(best_of[s[v]], sum(s)); });
    const double top = *std::max_element(scores.begin(), scores.end());
    for (std::size_t s = 0; s < scores.size(); ++s) {
      ASSERT_NEAR(found.best() - top + scores[s], best_of[s], 1e-12) << "seed " << seed;
    }
  }
}

TEST(BestChoice, IsThatOfExhaustiveSearch) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomChoice c(seed);
    if (!c.within(States(c.sizes.size(), 0))) continue;
    if (seed % 4 == 0) {  // what is no sum of tables
      c.problem.allows = [](const States& s) { return s.back() != 1 || s.front() == 0; };
    }
    double most = 0;
    each(c.sizes, [&](const States& states) {
      const bool allowed = c.problem.allows == nullptr || c.problem.allows(states);
      if (allowed && c.within(states)) most = std::max(most, c.gain(states));
    });
    const BestChoice found = best_choice(c.problem);
    ASSERT_TRUE(c.within(found.states));
    ASSERT_TRUE(found.proven);
    ASSERT_NEAR(found.gain, most, 1e-12);
    ASSERT_EQ(found.gain, found.bound);
    ASSERT_NEAR(c.gain(found.states), found.gain, 1e-12);
    // Without branch and bound: between the known and the bound.
    const BestChoice relaxed = best_choice(c.problem, {}, 0);
    ASSERT_TRUE(c.within(relaxed.states));
    ASSERT_LE(relaxed.gain, most + 1e-12);
    ASSERT_GE(relaxed.bound, most - 1e-9);
    ASSERT_NEAR(best_choice(c.problem, {found.states}, 0).gain, most, 1e-12);
  }
}

// Each question has a network built: where nearly all is refused, as by a limit on the memory,
// there are few of them. All else that stands in the way of the 12^6 choices is the number of
// nodes.
TEST(BestChoice, EndsWhereNearlyAllIsRefused) {
  ChoiceProblem p;
  int asked = 0;
  for (int v = 0; v < 6; ++v) {
    p.gains.emplace_back();
    for (int s = 0; s < 12; ++s) p.gains[v].push_back(s);
    p.scopes.push_back({v});
    p.ms.emplace_back(12, 0.1);
    p.params.emplace_back(12, 1);
  }
  p.ms_limit = p.params_limit = 100;
  p.allows = [&](const States& states) {
    ++asked;
    return std::accumulate(states.begin(), states.end(), 0) <= 2;
  };
  const BestChoice best = best_choice(p);
  EXPECT_LT(asked, 45000);
  EXPECT_FALSE(best.proven);
  EXPECT_LE(best.gain, 2);
  EXPECT_NEAR(best.bound, 66, 1e-9);
}

TEST(WidthCosts, AreThoseOfTheNetwork) {
  const StaircaseLatency model(4);
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomArchitecture random(seed);
    const Architecture arch = random();
    const WidthCosts costs(arch, model);
    std::size_t widest = 0;
    for (int t = 0; t < costs.terms(); ++t) widest = std::max(widest, costs.scope(t).size());
    EXPECT_LE(widest, 4u);
    for (int trial = 0; trial < 20; ++trial) {
      WidthList now = widths(arch);
      for (std::int64_t& w : now) w = 4 * random.pick(1, 4);  // often equal
      const NetworkCost expected = cost_of(with_widths(arch, now), model);
      const WidthCosts::Cost cost = costs.cost(now);
      ASSERT_EQ(cost.params, expected.params);
      ASSERT_NEAR(cost.ms, expected.latency_ms, 1e-12);
    }
  }
}

TEST(WidthCosts, GroupsMustLeaveWidthsToTellApart) {
  Architecture arch{.name = "grouped", .resolution = 16, .classes = 1000};
  arch.layers = {Conv{.name = "a", .out = 64}, Conv{.name = "b", .out = 64, .groups = 32},
                 Pool{.kind = PoolMode::global_avg}, Flatten{}, Linear{.name = "fc"}};
  ASSERT_TRUE(WidthCosts::possible(arch));
  const MacsLatency model;
  const WidthCosts costs(arch, model);
  EXPECT_EQ(costs.cost({96, 32}).params, cost_of(with_widths(arch, {96, 32}), model).params);
  std::get<Conv>(arch.layers[1]).groups = 4096;
  for (const int l : {0, 1}) std::get<Conv>(arch.layers[l]).out = 4096;
  EXPECT_FALSE(WidthCosts::possible(arch));
  const std::vector<ImportanceLaw> laws(2, {.a = 1, .b = -1});
  const Budget budget{.params = 1e9};
  EXPECT_FALSE(width_optimum(arch, laws, model, budget, {.stride = 4096}));
}

TEST(WidthGain, IsTheSumOverTheAddedKernels) {
  const ImportanceLaw law{.a = 2, .b = -1};
  EXPECT_EQ(width_gain(law, 4, 4), 0);
  EXPECT_NEAR(width_gain(law, 4, 6), 2.0 / 5 + 2.0 / 6, 1e-15);
  const std::vector<ImportanceLaw> laws{law, {.a = 1, .b = -2}};
  EXPECT_NEAR(total_gain(laws, {4, 1}, {5, 3}), 2.0 / 5 + 1.0 / 4 + 1.0 / 9, 1e-15);
}

// Few steps fit, so that all widths can be tried: chains and residual networks, free and tied.
TEST(WidthOptimum, IsThatOfExhaustiveSearch) {
  int tried = 0, tied = 0, residual = 0, compared = 0;
  for (std::uint64_t seed = 0; tried < 40 || tied < 4 || residual < 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ASSERT_LT(seed, 2000u);
    RandomArchitecture random(seed);
    const Architecture arch = random();
    const WidthList base = widths(arch);
    const bool stream = residual_groups(arch).size() < base.size();
    if (base.size() < 3 || base.size() > (stream ? 5 : 4)) continue;
    ++tried, residual += stream;
    const StaircaseLatency stairs(8);
    const MacsLatency smooth;
    const LatencyModel& model = random.coin() ? static_cast<const LatencyModel&>(stairs) : smooth;
    const std::vector<ImportanceLaw> laws = random_laws(arch, seed);
    WideningOptions options{.stride = random.pick(2, 8), .tie_residual = random.coin()};
    const WideningProblem problem = widening_problem(arch, laws, model, options);
    tied += problem.groups.size() < base.size();
    const NetworkCost cost = cost_of(arch, model);
    const auto room = [&] { return 1 + 0.01 * static_cast<double>(random.pick(5, 40)); };
    const std::int64_t limits = random.pick(1, 7);
    Budget budget{.params = static_cast<double>(cost.params) * room()};  // ends the search
    if (limits & 1) budget.latency_ms = cost.latency_ms * room();
    if (limits & 4) budget.memory_bytes = static_cast<double>(cost.memory_bytes) * room();

    double most = 0;
    const int steps = problem.groups.size() > 3 ? 5 : 10;
    each(std::vector<int>(problem.groups.size(), steps), [&](const States& states) {
      WidthList now = base;
      for (std::size_t g = 0; g < states.size(); ++g) {
        for (const int l : problem.groups[g]) now[l] += options.stride * states[g];
      }
      const double gain = total_gain(laws, base, now);
      if (gain <= most || !budget.allows(problem.cost(now))) return;
      most = gain;
    });
    const std::optional<WidthOptimum> found = width_optimum(arch, laws, model, budget, options);
    ASSERT_TRUE(found);
    ASSERT_TRUE(budget.allows(problem.cost(found->widths)));
    ASSERT_TRUE(found->proven);
    ASSERT_NEAR(found->gain, total_gain(laws, base, found->widths), 1e-12);
    ASSERT_GE(found->gain, most - 1e-12);
    bool tried_too = true;  // else it is wider than what was tried
    for (std::size_t l = 0; l < base.size(); ++l) {
      tried_too &= found->widths[l] < base[l] + options.stride * steps;
    }
    if (tried_too) {
      ASSERT_LE(found->gain, most + 1e-12);
      ++compared;
    }
  }
  EXPECT_GT(compared, 30);
}

struct Net {
  Architecture arch;
  std::vector<ImportanceLaw> laws;
};

Net slim(const char* name, std::int64_t resolution, double width, std::uint64_t seed) {
  const Architecture arch = scale_width(with_resolution(zoo(name), resolution), width);
  return {arch, random_laws(arch, seed)};
}

TEST(WidthOptimum, NeverWorseThanAlgorithmOne) {
  const StaircaseLatency stairs;
  const MacsLatency smooth;
  int proven = 0;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const LatencyModel& model = seed % 2 == 0 ? static_cast<const LatencyModel&>(stairs) : smooth;
    const Net net =
        seed < 2 ? slim("vgg11", 32, 0.25, seed) : slim("preact_resnet18", 32, .25, seed);
    const NetworkCost cost = cost_of(net.arch, model);
    const WidthList base = widths(net.arch);
    double before = 0;
    for (const double factor : {1.1, 1.5}) {
      const Budget budget{.latency_ms = factor * cost.latency_ms,
                          .params = std::floor(1.3 * static_cast<double>(cost.params))};
      const auto best = width_optimum(net.arch, net.laws, model, budget, {});
      ASSERT_TRUE(best);
      EXPECT_TRUE(budget.allows(cost_of(with_widths(net.arch, best->widths), model)));
      EXPECT_GE(best->bound, best->gain);
      EXPECT_LE(best->bound, best->gain * 1.02) << "it should be near";
      EXPECT_GE(best->gain, before - 1e-12);  // more room
      before = best->gain;
      proven += best->proven;
      for (int i = 0; i < 6; ++i) {
        const WideningOptions options{.policy = i < 3 ? StepPolicy::rollback : StepPolicy::fill,
                                      .criterion = static_cast<WideningCriterion>(i % 3)};
        const ScalingPlan plan = decide(net.arch, net.laws, model, budget, options);
        const OptimalityGap gap = best->gap_of(total_gain(net.laws, base, plan.result.widths()));
        EXPECT_GE(gap.gap(), 0);
        EXPECT_LE(gap.gain, gap.optimum);
      }
    }
  }
  EXPECT_GT(proven, 4);
}

TEST(OptimalityGap, IsInThePlanUnlessThereIsNone) {
  const MacsLatency model;
  const Net net = slim("vgg11", 32, 0.25, 1);
  const double ms = model.predict(net.arch);
  const ScalingPlan plan = decide(net.arch, net.laws, model, {.latency_ms = 1.2 * ms}, {});
  const ScalingPlan told = with_gap(plan, net.arch, net.laws, model);
  ASSERT_TRUE(told.optimality);
  EXPECT_EQ(told.optimality->gain, total_gain(net.laws, widths(net.arch), plan.result.widths()));
  EXPECT_GE(told.optimality->gap(), 0);
  EXPECT_CONTAINS(to_json(told), "\"optimality\"", "\"bound\"");
  const ScalingPlan infeasible = decide(net.arch, net.laws, model, {.latency_ms = 0.9 * ms}, {});
  EXPECT_FALSE(with_gap(infeasible, net.arch, net.laws, model).optimality);
  EXPECT_EQ(OptimalityGap{}.gap(), 0);
}

// Widths of a plan that lie between the steps are choices too, so its gap is never negative.
TEST(WidthOptimum, KnowsThePlanItIsComparedWith) {
  const MacsLatency model;
  const Net net = slim("vgg11", 32, 0.25, 1);
  WidthList odd = widths(net.arch);
  for (std::int64_t& w : odd) w += 3;
  const Budget budget{.latency_ms = model.predict(with_widths(net.arch, odd)), .params = 1e9};
  const auto best = width_optimum(net.arch, net.laws, model, budget, {.stride = 64}, odd);
  ASSERT_TRUE(best);
  EXPECT_GE(best->gain, total_gain(net.laws, widths(net.arch), odd));
  EXPECT_GT(best->gain, width_optimum(net.arch, net.laws, model, budget, {.stride = 64})->gain);
}

TEST(WidthOptimum, SaysWhereItIsTooLarge) {
  const MacsLatency model;
  const Net net = slim("preact_resnet18", 32, 1, 1);
  const Budget endless{.latency_ms = 1e9};
  EXPECT_FALSE(width_optimum(net.arch, net.laws, model, endless, {.stride = 1}));
}

}  // namespace
}  // namespace hac
