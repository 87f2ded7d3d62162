// The table of scaling methods, and what each of them is alone (within limits: test_method_limits).

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <tuple>

#include "models/arch/counters.h"
#include "models/zoo/zoo.h"
#include "scaling/methods/method.h"
#include "tests/support/macs_latency.h"
#include "tests/support/messages.h"
#include "tests/support/pretended_trainings.h"
#include "tests/support/random_laws.h"

namespace hac {
namespace {

const MacsLatency kModel;

ScaledNetwork scaled(const char* method, const Architecture& baseline, const Budget& budget,
                     std::vector<double> given = {}) {
  return method_of(method).to_budget(
      {.baseline = baseline, .model = kModel, .budget = budget, .given = std::move(given)});
}

TEST(Methods, CompoundGrowthMeetsTheLimit) {
  const Architecture vgg = zoo("vgg11");
  const double limit = 3 * kModel.predict(vgg);
  for (const double alpha : {0.0, 0.5, 1.0}) {
    const ScaledNetwork n = scaled("compound", vgg, {.latency_ms = limit}, {alpha});
    const double s = n.coefficients.back();
    EXPECT_GT(s, 2);
    const auto network = [&](double growth) {
      return method_of("compound").scale(vgg, std::vector{alpha, growth}, {});
    };
    EXPECT_EQ(n.arch, network(s));
    EXPECT_LE(kModel.predict(n.arch), limit);
    EXPECT_GT(kModel.predict(network(s * 1.002)), limit);
  }
  EXPECT_THROW(scaled("compound", vgg, {}), ConfigError);
  EXPECT_THROW(scaled("compound", vgg, {.latency_ms = limit}, {0.5, 1}), ConfigError);
  EXPECT_EQ(scaled("compound", vgg, {.latency_ms = 1e-3}).coefficients, (std::vector{0.5, 1.0}));
}

// Rows of Table I: depth in all, widths and resolution (their stages differ from the table's).
TEST(Methods, OtherCompoundsAreThoseOfTheTable) {
  const auto grown = [](const char* method, const std::vector<double>& coefficients,
                        std::int64_t width_multiple) {
    const Architecture arch = method_of(method).scale(
        zoo("vgg11"), coefficients, {.width_multiple = width_multiple, .resolution_multiple = 8});
    const std::vector<std::int64_t> units = blocks(arch), all = widths(arch);
    EXPECT_EQ(std::accumulate(units.begin(), units.end(), std::int64_t{0}), std::ssize(all));
    return std::tuple(std::ssize(all), std::set(all.begin(), all.end()), arch.resolution);
  };
  const double s = std::pow(1.2 * 1.1 * 1.1 * 1.15 * 1.15, 1.7);
  EXPECT_EQ(grown("efficientnet", {1.2, 1.1, 1.15, s}, 2),
            std::tuple(11, std::set<std::int64_t>{76, 150, 302, 602}, 40));
  EXPECT_EQ(grown("fast-compound", {0.8, 2}, 4),
            std::tuple(9, std::set<std::int64_t>{84, 168, 336, 676}, 32));
}

// The name of each is that of the files and reports of earlier versions; what has a formula starts
// at the baseline.
TEST(Methods, AreATable) {
  std::set<std::string> keys, names;
  for (const Method& m : methods()) {
    EXPECT_TRUE(keys.insert(m.key).second) << m.key;
    EXPECT_TRUE(names.insert(m.name).second) << m.name;
    EXPECT_EQ(&method_of(m.key), &m);
    EXPECT_NE(m.help, "");
    EXPECT_EQ(m.scale == nullptr, m.coefficients.empty()) << m.key;
    if (m.scale == nullptr || m.key.starts_with("neuralscale")) continue;  // rho = 1 is a size
    std::vector<double> at_one;
    for (const Coefficient& c : m.coefficients) at_one.push_back(c.value);
    EXPECT_EQ(at_one.back(), 1) << m.key;
    EXPECT_EQ(m.scale(zoo("vgg11"), at_one, {}), zoo("vgg11")) << m.key;
  }
  for (const char* name : {"uniform width", "resolution", "depth", "hacscale (plain)",
                           "hacscale (per-latency)", "hacscale (per-param)"})
    EXPECT_TRUE(names.contains(name)) << name;
  EXPECT_ERROR(method_of("uniform_width"), ConfigError, "did you mean uniform-width?");
}

TEST(Methods, TakeAsMuchAsTheBudgetAllows) {
  const Architecture vgg = zoo("vgg11");
  const Budget budget{.latency_ms = 2.5 * kModel.predict(vgg)};
  const ScaledNetwork width = scaled("uniform-width", vgg, budget);
  const ScaledNetwork resolution = scaled("resolution", vgg, budget);
  const ScaledNetwork depth = scaled("depth", vgg, budget);
  for (const ScaledNetwork& n : {width, resolution, depth}) {
    EXPECT_TRUE(n.feasible());
    EXPECT_EQ(n.limit, "latency");
    EXPECT_GT(n.coefficients.back(), 1) << n.method;
    EXPECT_EQ(n.cost.latency_ms, kModel.predict(n.arch));
    EXPECT_LE(n.cost.latency_ms, budget.latency_ms) << n.method;
    EXPECT_EQ(n.cost.params, count(n.arch).params);
  }
  const Architecture wider = scale_width(vgg, width.coefficients[0] + 8.0 / 512, 8);
  EXPECT_GT(kModel.predict(wider), budget.latency_ms);
  EXPECT_EQ(resolution.cost.params, count(vgg).params);
  EXPECT_GT(kModel.predict(with_resolution(vgg, resolution.arch.resolution + 4)),
            budget.latency_ms);
  EXPECT_EQ(widths(resolution.arch), widths(vgg));
  EXPECT_GT(widths(depth.arch).size(), widths(vgg).size());
}

// As where a busy machine stalled the baseline while it was timed.
TEST(Methods, DoNotGrowWithoutEndOnAnInflatedBudget) {
  const Architecture slim = scale_width(zoo("vgg11"), 0.125);
  const Budget budget{.latency_ms = 1e4 * kModel.predict(slim)};
  for (const char* key : {"uniform-width", "resolution"}) {
    const ScaledNetwork n = scaled(key, slim, budget);
    EXPECT_EQ(n.limit, "growth-cap") << key;
    const double growth =
        static_cast<double>(count(n.arch).macs) / static_cast<double>(count(slim).macs);
    EXPECT_LE(growth, 256) << key;
    EXPECT_GT(growth, 200) << key;
  }
}

TEST(Methods, ParametersAndMemoryBindTooAndInfeasibleBaselinesStay) {
  const Architecture vgg = zoo("vgg11");
  const NetworkCost cost = cost_of(vgg, kModel);
  const auto expect = [&](std::int64_t NetworkCost::*figure, const Budget& limit,
                          const char* name) {
    const ScaledNetwork n = scaled("uniform-width", vgg, limit);
    EXPECT_EQ(n.limit, name);
    const double growth = static_cast<double>(n.cost.*figure) / static_cast<double>(cost.*figure);
    EXPECT_LE(growth, 1.3) << name;
    EXPECT_GT(growth, 1.2) << name;
  };
  expect(&NetworkCost::params, {.params = 1.3 * static_cast<double>(cost.params)}, "params");
  expect(&NetworkCost::memory_bytes, {.memory_bytes = 1.3 * static_cast<double>(cost.memory_bytes)},
         "memory");
  const ScaledNetwork none = scaled("uniform-width", vgg, {.latency_ms = 1e-3});
  EXPECT_FALSE(none.feasible());
  EXPECT_EQ(none.arch, vgg);
  EXPECT_EQ(none.coefficients, std::vector{1.0});
  EXPECT_THROW(scaled("resolution", vgg, {.params = 1e12}), ConfigError);
}

// Five percent more time do not pay for another layer, nor a thousandth for a wider network.
TEST(Methods, WithoutAMemberInTheBudgetGiveTheSmallestOneMarkedInfeasible) {
  const Architecture vgg = zoo("vgg11");
  const ScaledNetwork deeper = scaled("depth", vgg, {.latency_ms = 1.05 * kModel.predict(vgg)});
  EXPECT_FALSE(deeper.feasible());
  EXPECT_EQ(widths(deeper.arch).size(), 9U);
  EXPECT_GT(deeper.cost.latency_ms, 1.05 * kModel.predict(vgg));
  for (const char* key : {"compound", "fast-compound", "efficientnet", "uniform-width"}) {
    const ScaledNetwork n = scaled(key, vgg, {.latency_ms = 1.001 * kModel.predict(vgg)});
    EXPECT_FALSE(n.feasible()) << key;
    EXPECT_NE(n.arch, vgg) << key;
    EXPECT_LT(n.cost.latency_ms, 1.5 * kModel.predict(vgg)) << key;
  }
}

// Also where every finer step below the next one of 1 % is within it.
TEST(Methods, SayWhichLimitEndedAGrowthByAnyFactor) {
  const Architecture vgg = zoo("vgg11");
  for (double room = 1.5; room < 4; room += 0.07) {
    for (const char* key : {"compound", "fast-compound", "efficientnet"}) {
      const ScaledNetwork n = scaled(key, vgg, {.latency_ms = room * kModel.predict(vgg)});
      EXPECT_EQ(n.limit, "latency") << key << " " << room;
    }
  }
}

// VGG11 at w = 2 takes 3.98 times the MACs: its stem and classifier grow as w alone.
TEST(Methods, KnownNetworksAreHit) {
  const Architecture vgg = zoo("vgg11");
  const Architecture twice = scale_width(vgg, 2, 8);
  const ScaledNetwork width =
      scaled("uniform-width", vgg, {.latency_ms = kModel.predict(twice) * (1 + 1e-12)});
  EXPECT_EQ(width.arch, twice);
  EXPECT_EQ(width.coefficients[0], 2);
  const ScaledNetwork resolution = scaled(
      "resolution", vgg, {.latency_ms = kModel.predict(with_resolution(vgg, 48)) * (1 + 1e-12)});
  EXPECT_EQ(resolution.arch.resolution, 48);
  EXPECT_EQ(resolution.coefficients[0], 1.5);
}

TEST(Methods, SayWhatTheyLack) {
  const Architecture vgg = scale_width(zoo("vgg11"), 0.25);
  const Budget budget{.latency_ms = 2 * kModel.predict(vgg)};
  const std::vector<ImportanceLaw> laws = random_laws(vgg, 1);
  for (const Method& method : methods()) {
    const ScalingTask bare{.baseline = vgg, .model = kModel, .budget = budget};
    if (method.needs_laws) {
      EXPECT_ERROR(method.to_budget(bare), ConfigError, method.key, "laws");
    }
    ScalingTask untrained = bare;
    untrained.laws = laws;
    if (method.needs_proxy) {
      EXPECT_ERROR(method.to_budget(untrained), ConfigError, "data");
    }
    ScalingTask endless = untrained;
    endless.budget = {};
    const ProxyTrainings proxy = pretended();
    endless.proxy = &proxy;
    EXPECT_ERROR(method.to_budget(endless), ConfigError, method.key, "limit");
  }
}

TEST(Dp, TellsTheOptimumAndWhatIsTooMuch) {
  const Architecture vgg = scale_width(zoo("vgg11"), 0.25);
  const std::vector<ImportanceLaw> laws = random_laws(vgg, 2);
  ScalingTask task{.baseline = vgg, .model = kModel, .laws = laws};
  task.budget = {.latency_ms = 1.3 * kModel.predict(vgg)};
  const ScaledNetwork best = method_of("dp").to_budget(task);
  ASSERT_TRUE(best.plan && best.plan->optimality);
  EXPECT_CONTAINS(best.note, "gain", "optimum");
  EXPECT_EQ(best.plan->optimality->gap(), 0);
  EXPECT_TRUE(best.plan->result.steps.empty());
  for (const LayerPlan& l : best.plan->result.layers) EXPECT_NE(l.reason, "");
  for (const char* key : {"hacscale", "hacscale-per-latency", "hacscale-per-param"}) {
    const ScaledNetwork other = method_of(key).to_budget(task);
    EXPECT_LE(other.plan->optimality->gain, best.plan->optimality->gain) << key;
    EXPECT_EQ(other.plan->optimality->bound, best.plan->optimality->bound) << key;
  }
  task.budget.latency_ms = 0.9 * kModel.predict(vgg);
  EXPECT_FALSE(method_of("dp").to_budget(task).feasible());
  task.budget = {.latency_ms = 1e6, .params = 1e12};
  task.widening.stride = 1;
  EXPECT_ERROR(method_of("dp").to_budget(task), ConfigError, "dp", "larger stride");
}

TEST(HacscaleDepth, AddedUnitsHaveTheLawsOfThoseTheyCopy) {
  const Architecture resnet = zoo("preact_resnet18");
  const std::vector<ImportanceLaw> laws = random_laws(resnet, 1);
  const std::vector<std::int64_t> deeper{2, 4, 2, 3};
  const std::vector<ImportanceLaw> all = laws_of_deeper(resnet, laws, deeper);
  const std::vector<std::string> names = width_names(with_blocks(resnet, deeper));
  ASSERT_EQ(all.size(), names.size());
  // "layer2.2.conv1" was copied from "layer2.1.conv1".
  for (std::size_t l = 0; l < all.size(); ++l) {
    EXPECT_EQ(all[l].layer, names[l]);
    std::string from = names[l];
    for (const char* added : {"layer2.2", "layer2.3", "layer4.2"}) {
      if (from.starts_with(added)) from[7] = '1';
    }
    const std::vector<std::string> before = width_names(resnet);
    const auto at = std::ranges::find(before, from) - before.begin();
    ASSERT_LT(at, std::ssize(laws)) << from;
    EXPECT_EQ(all[l].a, laws[at].a) << names[l];
    EXPECT_EQ(all[l].b, laws[at].b) << names[l];
  }
  EXPECT_EQ(laws_of_deeper(resnet, laws, blocks(resnet)), laws);
}

TEST(HacscaleDepth, TrainingsDecideAndTiesGoToTheFastest) {
  const Architecture resnet = scale_width(with_resolution(zoo("preact_resnet18"), 32), 0.125);
  const std::vector<ImportanceLaw> laws = random_laws(resnet, 1);
  std::vector<Architecture> asked;
  ProxyTrainings proxy;
  const auto best = [&](std::function<double(const Architecture&)> top1, double room) {
    asked.clear();
    proxy.top1 = [&, top1](const Architecture& arch) {
      asked.push_back(arch);
      return top1(arch);
    };
    return method_of("hacscale-depth")
        .to_budget({.baseline = resnet,
                    .model = kModel,
                    .budget = {.latency_ms = room * kModel.predict(resnet), .params = 4e5},
                    .proxy = &proxy,
                    .laws = laws});
  };
  const auto units = [](const Architecture& arch) {
    const std::vector<std::int64_t> all = blocks(arch);
    return std::accumulate(all.begin(), all.end(), std::int64_t{0});
  };
  const auto depth = [&](const Architecture& arch) { return static_cast<double>(units(arch)); };
  const ScaledNetwork deepest = best([&](const auto& a) { return depth(a) / 100; }, 3);
  EXPECT_EQ(units(deepest.arch), 12);
  EXPECT_EQ(asked.size(), 5u);
  for (const Architecture& arch : asked)
    EXPECT_LE(kModel.predict(arch), 3 * kModel.predict(resnet));
  EXPECT_CONTAINS(deepest.note, "12.00 %", "2-2-2-2 8.00 %");
  EXPECT_EQ(std::ssize(deepest.plan->result.layers), 17 + 8);
  const ScaledNetwork middle = best([&](const auto& a) { return -std::abs(depth(a) - 10); }, 3);
  EXPECT_EQ(units(middle.arch), 10);
  const ScaledNetwork equal = best([](const auto&) { return 0.5; }, 3);
  for (const Architecture& arch : asked) {
    EXPECT_LE(equal.cost.latency_ms, kModel.predict(arch));
  }
  best([](const auto&) { return 0.5; }, 1.05);  // no room for a further unit
  EXPECT_LT(asked.size(), 3u);
  EXPECT_FALSE(best([](const auto&) { return 0.5; }, 0.5).feasible());
  EXPECT_TRUE(asked.empty());
}

}  // namespace
}  // namespace hac
