// Compound formulas, the alpha search, and utilization.

#include <cmath>
#include <set>

#include "models/arch/counters.h"
#include "models/zoo/zoo.h"
#include "scaling/experiment/alpha.h"
#include "scaling/measure/utilization.h"
#include "scaling/methods/compound_factors.h"
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
