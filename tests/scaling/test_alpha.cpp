// Compound formulas, the alpha search, the methods compared with, and utilization.

#include <cmath>
#include <numeric>
#include <set>
#include <tuple>

#include "models/arch/counters.h"
#include "models/zoo/zoo.h"
#include "scaling/experiment/alpha.h"
#include "scaling/measure/utilization.h"
#include "scaling/methods/compound_factors.h"
#include "scaling/methods/method.h"
#include "tests/support/macs_latency.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

const MacsLatency kModel;

TEST(Compound, Goldens) {
  const CompoundFactors tan = tan_factors(0.7);
  EXPECT_NEAR(tan.d, 1.1361, 5e-5);
  EXPECT_NEAR(tan.w, 1.0690, 5e-5);
  EXPECT_NEAR(tan.r, 1.1028, 5e-5);
  EXPECT_NEAR(tan_factors(1.7).d, 1.363, 5e-4);
  EXPECT_NEAR(tan_factors(1.7).w, 1.176, 5e-4);
  EXPECT_NEAR(tan_factors(1.7).r, 1.268, 5e-4);
  EXPECT_NEAR(tan_factors(1).d * std::pow(tan_factors(1).w * tan_factors(1).r, 2), 1.9203, 5e-5);
  EXPECT_NEAR(dollar_factors(1.5).w, 1.18, 5e-3);
  EXPECT_NEAR(dollar_factors(2).w, 1.32, 5e-3);
  EXPECT_NEAR(dollar_factors(4).w, 1.74, 5e-3);
  EXPECT_NEAR(dollar_factors(2).d, std::pow(2, 0.1), 1e-12);
  EXPECT_NEAR(dollar_factors(2).r, std::pow(2, 0.05), 1e-12);
}

TEST(Compound, SpendsExactlyS) {
  for (const double s : {1.0, 1.5, 2.0, 4.0, 16.62}) {
    for (const double alpha : {0.0, 0.1, 1.0 / 3, 0.5, 0.8, 1.0}) {
      for (const CompoundFactors& f : {hacscale_factors(s, alpha), dollar_factors(s, alpha)}) {
        EXPECT_NEAR(f.d * f.w * f.w * f.r * f.r, s, 1e-12 * s);
      }
      EXPECT_EQ(hacscale_factors(s, alpha).d, 1);
      const CompoundFactors f = dollar_factors(s, alpha);
      EXPECT_NEAR(f.d * f.w * f.r * f.r, std::pow(s, 1 - alpha / 2), 1e-12 * s);  // activations
    }
  }
  EXPECT_NEAR(hacscale_factors(4, 0.5).r, std::sqrt(2), 1e-12);
  EXPECT_THROW(hacscale_factors(0.5, 0.5), ConfigError);
  EXPECT_THROW(hacscale_factors(2, 1.1), ConfigError);
  EXPECT_THROW(dollar_factors(NAN), ConfigError);
}

TEST(AlphaCandidates, DistinctResolutionsWithMacsOnTarget) {
  const Architecture vgg = zoo("vgg11");
  const double s = 3;
  const AlphaCandidates found = alpha_candidates(vgg, s, kModel);
  ASSERT_GE(found.candidates.size(), 4u);
  EXPECT_TRUE(found.note.empty());
  std::set<std::int64_t> resolutions;
  const double target = s * static_cast<double>(count(vgg).macs);
  for (const AlphaCandidate& c : found.candidates) {
    EXPECT_EQ(c.arch.resolution % 4, 0);
    EXPECT_GE(c.alpha, 0);
    EXPECT_LE(c.alpha, 1);
    EXPECT_TRUE(resolutions.insert(c.arch.resolution).second);
    EXPECT_NEAR(std::pow(s, c.alpha / 2) * 32, static_cast<double>(c.arch.resolution), 1e-9);
    const std::int64_t macs = count(c.arch).macs;
    EXPECT_NEAR(c.latency_ms, 1e-8 * static_cast<double>(macs), 1e-9);
    // No other width is closer to the target.
    const double off = std::abs(static_cast<double>(macs) - target);
    for (double w = 1; w < 3; w += 0.003) {
      const Architecture other = scale_width(with_resolution(vgg, c.arch.resolution), w, 8);
      EXPECT_GE(std::abs(static_cast<double>(count(other).macs) - target), off) << w;
    }
  }
}

TEST(AlphaCandidates, LargeInputsUseTheTotalStride) {
  const Architecture resnet = zoo("preact_resnet18");
  for (const AlphaCandidate& c : alpha_candidates(resnet, 2, kModel).candidates) {
    EXPECT_EQ(c.arch.resolution % 32, 0);
  }
}

TEST(AlphaCandidates, UnwidenedNetworksAboveTheLimitAreDropped) {
  const Architecture vgg = zoo("vgg11");
  const AlphaCandidates all = alpha_candidates(vgg, 4, kModel);
  AlphaOptions options{.latency_ms = all.candidates[1].unwidened_latency_ms};
  const AlphaCandidates some = alpha_candidates(vgg, 4, kModel, options);
  EXPECT_LT(some.candidates.size(), all.candidates.size());
  EXPECT_NE(some.note, "");
  for (const AlphaCandidate& c : some.candidates) {
    EXPECT_LE(c.unwidened_latency_ms, options.latency_ms);
  }
  // Nothing of the grid fits: the largest resolution that does, found by hand.
  options.grid = {0.9};
  options.rounding.resolution_multiple = 1;
  const AlphaCandidates one = alpha_candidates(vgg, 4, kModel, options);
  ASSERT_EQ(one.candidates.size(), 1u);
  std::int64_t largest = 32;
  for (std::int64_t r = 32; r < 100; ++r) {
    if (kModel.predict(with_resolution(vgg, r)) <= options.latency_ms) largest = r;
  }
  EXPECT_EQ(one.candidates[0].arch.resolution, largest);
  EXPECT_CONTAINS(one.note, std::to_string(largest));
  options.latency_ms = 1e-3;
  EXPECT_THROW(alpha_candidates(vgg, 4, kModel, options), ConfigError);
}

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
  EXPECT_EQ(grown("efficientnet", {s}, 2),
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
    if (m.scale == nullptr || m.key == "neuralscale") continue;  // whose rho = 1 is a size alone
    std::vector<double> at_one;
    for (const Coefficient& c : m.coefficients) at_one.push_back(c.value);
    EXPECT_EQ(at_one.back(), 1) << m.key;
    EXPECT_EQ(m.scale(zoo("vgg11"), at_one, {}), zoo("vgg11")) << m.key;
  }
  for (const char* name : {"uniform width", "resolution", "depth", "hacscale (plain)",
                           "hacscale (per-latency)", "hacscale (per-param)"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_ERROR(method_of("uniform_width"), ConfigError, "did you mean uniform-width?");
}

TEST(Interval, StudentOverRuns) {
  const std::vector<double> three = {1, 2, 3};
  EXPECT_NEAR(interval95(three).mean, 2, 1e-15);
  EXPECT_NEAR(interval95(three).low, 2 - 4.303 / std::sqrt(3), 1e-12);
  EXPECT_NEAR(interval95(three).high, 2 + 4.303 / std::sqrt(3), 1e-12);
  const std::vector<double> one = {0.9};
  EXPECT_TRUE(std::isinf(interval95(one).low) && std::isinf(interval95(one).high));
  EXPECT_THROW(interval95(std::vector<double>{}), ConfigError);
}

// Both ends solve |p - x| = z sqrt(x (1 - x) / n), which is how Wilson defines them.
TEST(Interval, WilsonOverImages) {
  for (const std::int64_t n : {1, 10, 3000, 10000}) {
    for (const double p : {0.0, 0.1, 0.5, 0.9, 1.0}) {
      const Interval i = interval95(p, n);
      EXPECT_EQ(i.mean, p);
      for (const double x : {i.low, i.high}) {
        EXPECT_NEAR(std::abs(p - x), 1.96 * std::sqrt(x * (1 - x) / static_cast<double>(n)), 1e-7)
            << p << " of " << n;
      }
      EXPECT_LE(i.low, p);
      EXPECT_GE(i.high, p);
      EXPECT_GT(i.high - i.low, 0) << p << " of " << n;
    }
  }
  EXPECT_NEAR(interval95(0.0, 10).high, 0.2775, 1e-4);  // of any table
  EXPECT_NEAR(interval95(1.0, 10).low, 0.7225, 1e-4);
  EXPECT_THROW(interval95(0.5, 0), ConfigError);
  EXPECT_THROW(interval95(1.5, 10), ConfigError);
}

AlphaPoint point_at(double alpha, double ms, double mean, double half) {
  return {.alpha = alpha, .top1 = {mean, mean - half, mean + half}, .ms = ms};
}

TEST(ChooseAlpha, AccuracyDecidesAndTiesGoToTheFastest) {
  const std::vector<AlphaPoint> clear = {point_at(.2, 1, .80, .01), point_at(.5, 3, .90, .01),
                                         point_at(.8, 2, .85, .01)};
  EXPECT_EQ(choose_alpha(clear).index, 1u);
  EXPECT_EQ(choose_alpha(clear).tied, (std::vector<std::size_t>{1}));
  const std::vector<AlphaPoint> tied = {point_at(.2, 1, .80, .01), point_at(.5, 3, .90, .02),
                                        point_at(.8, 2, .87, .02)};
  EXPECT_EQ(choose_alpha(tied).index, 2u);
  EXPECT_EQ(choose_alpha(tied).tied, (std::vector<std::size_t>{1, 2}));
  EXPECT_THROW(choose_alpha({}), ConfigError);
}

TEST(ChooseAlpha, ParabolaThroughTheBestThree) {
  const auto point = [](double alpha) {
    return point_at(alpha, 1, .9 - 0.3 * (alpha - .43) * (alpha - .43), .001);
  };
  const std::vector<AlphaPoint> points = {point(.1), point(.3), point(.5), point(.7), point(.9)};
  ASSERT_TRUE(choose_alpha(points).peak.has_value());
  EXPECT_NEAR(*choose_alpha(points).peak, .43, 1e-9);
  const std::vector<AlphaPoint> rising = {point_at(.1, 1, .1, 0), point_at(.5, 1, .3, 0),
                                          point_at(.9, 1, .9, 0)};  // convex
  EXPECT_FALSE(choose_alpha(rising).peak.has_value());
  const std::vector<AlphaPoint> two = {point(.1), point(.3)};
  EXPECT_FALSE(choose_alpha(two).peak.has_value());
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

TEST(Methods, ParametersBindTooAndInfeasibleBaselinesStay) {
  const Architecture vgg = zoo("vgg11");
  const double params = 1.3 * static_cast<double>(count(vgg).params);
  const ScaledNetwork width = scaled("uniform-width", vgg, {.params = params});
  EXPECT_LE(static_cast<double>(width.cost.params), params);
  EXPECT_GT(static_cast<double>(width.cost.params), 1.2 * static_cast<double>(count(vgg).params));
  const ScaledNetwork none = scaled("uniform-width", vgg, {.latency_ms = 1e-3});
  EXPECT_FALSE(none.feasible());
  EXPECT_EQ(none.arch, vgg);
  EXPECT_EQ(none.coefficients, std::vector{1.0});
  EXPECT_EQ(width.limit, "params");
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

TEST(Methods, MemoryBinds) {
  const Architecture vgg = zoo("vgg11");
  const auto bytes = static_cast<double>(cost_of(vgg, kModel).memory_bytes);
  const ScaledNetwork width = scaled("uniform-width", vgg, {.memory_bytes = 1.3 * bytes});
  EXPECT_EQ(width.limit, "memory");
  EXPECT_LE(static_cast<double>(width.cost.memory_bytes), 1.3 * bytes);
  EXPECT_GT(static_cast<double>(width.cost.memory_bytes), 1.2 * bytes);
}

TEST(Methods, SayWhatTheyNeed) {
  const Architecture vgg = zoo("vgg11");
  EXPECT_ERROR(scaled("uniform-width", vgg, {}), ConfigError, "expected a limit");
  EXPECT_ERROR(scaled("hacscale", vgg, {.latency_ms = 1e3}), ConfigError, "expected the laws");
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

TEST(Utilization, IsOperationsOverTime) {
  EXPECT_NEAR(utilization_gmacs(1735220000, 13.66), 127.03, 5e-3);  // Table I, ResNet18
  EXPECT_NEAR(peak_fraction(50, 200), .25, 1e-15);
  EXPECT_THROW(utilization_gmacs(1, 0), ConfigError);
  EXPECT_THROW(peak_fraction(1, NAN), ConfigError);
}

TEST(Utilization, SweepGrowsOneDimensionAtATime) {
  const Architecture vgg = zoo("vgg11");
  std::set<std::string> dimensions;
  std::string last;
  std::int64_t macs = 0;
  for (const SweepPoint& p : utilization_sweep(vgg)) {
    dimensions.insert(p.dimension);
    if (p.dimension != last) {
      EXPECT_EQ(p.arch, vgg);
      macs = 0;
    }
    last = p.dimension;
    EXPECT_GT(p.macs, macs) << p.dimension << " " << p.factor;
    macs = p.macs;
    EXPECT_EQ(p.macs, count(p.arch).macs);
    if (p.dimension != "resolution") {
      EXPECT_EQ(p.arch.resolution, 32);
    }
    if (p.dimension != "width") {
      EXPECT_EQ(widths(p.arch)[0], 64);
    }
    if (p.dimension != "depth") {
      EXPECT_EQ(blocks(p.arch), blocks(vgg));
    }
  }
  EXPECT_EQ(dimensions, (std::set<std::string>{"width", "depth", "resolution"}));
}

}  // namespace
}  // namespace hac
