// The importance laws (Eq. 6) and the widths at which they are sampled.

#include <cmath>
#include <set>

#include "kernels/core/random.h"
#include "scaling/importance/law.h"
#include "scaling/importance/sampling.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

LayerSamples samples(std::string layer, const std::vector<double>& widths,
                     const std::vector<double>& importances) {
  LayerSamples result{std::move(layer), {}};
  for (std::size_t i = 0; i < widths.size(); ++i) {
    result.samples.push_back({.width = widths[i], .importance = importances[i]});
  }
  return result;
}

LayerSamples power_law(std::string layer, double a, double b, double noise = 0,
                       std::uint64_t seed = 0) {
  const Philox random{seed, 0};
  LayerSamples result{std::move(layer), {}};
  std::uint64_t i = 0;
  for (const double c : {16, 24, 32, 48, 64}) {
    const double factor = 1 + noise * (2 * random.uniform(i++) - 1);
    result.samples.push_back({.width = c, .importance = a * std::pow(c, b) * factor});
  }
  return result;
}

// Sum of squares of a given law, the independent judge of a fit.
double squares(const LayerSamples& layer, double a, double b, bool relative) {
  double sum = 0;
  for (const ImportanceSample& s : layer.samples) {
    const double r = s.importance - a * std::pow(s.width, b);
    sum += r * r / (relative ? s.importance * s.importance : 1);
  }
  return sum;
}

TEST(Law, RecoversExactPowerLaws) {
  for (const double a : {1e-9, 0.02, 1.0, 4e5}) {
    for (const double b : {-2.4, -1.0, -0.6, 0.0, 0.5, 3.0}) {
      for (const bool relative : {false, true}) {
        const ImportanceLaw law = fit_law(power_law("l", a, b), {.relative = relative});
        EXPECT_NEAR(law.a / a, 1, 1e-6) << a << " " << b;
        EXPECT_NEAR(law.b, b, 1e-6);
        EXPECT_NEAR(law.r2, 1, 1e-9);
        EXPECT_EQ(law.n, 5);
      }
    }
  }
}

TEST(Law, GoldenFit) {
  const ImportanceLaw law = fit_law(samples("l", {16, 32, 64, 128, 256}, {1, .55, .33, .18, .11}));
  EXPECT_NEAR(law.a, 9.61419, 5e-6);
  EXPECT_NEAR(law.b, -0.817991, 5e-7);
  EXPECT_NEAR(law.r2, 0.999259, 5e-7);
  ASSERT_EQ(law.residuals.size(), 5u);
  EXPECT_NEAR(law.residuals[1], .55 - law(32), 1e-15);
}

// Each sample from the other widths: a power law is met exactly, also at the ends, and the constant
// is their mean.
TEST(Law, LeavesOneWidthOut) {
  const LayerSamples exact = power_law("l", 3, -1.5);
  const std::vector<HeldOutPrediction> p = leave_one_width_out(exact);
  ASSERT_EQ(p.size(), 5u);
  for (std::size_t i = 0; i < p.size(); ++i) {
    EXPECT_EQ(p[i].width, exact.samples[i].width);
    EXPECT_EQ(p[i].observed, exact.samples[i].importance);
    EXPECT_NEAR(p[i].predicted / p[i].observed, 1, 1e-6);
  }
  EXPECT_NEAR(p[0].constant, (p[1].observed + p[2].observed + p[3].observed + p[4].observed) / 4,
              1e-15);
  // Both samples of 16 are left out together: through (8, 4) and (32, 1), C = 16 has 2.
  const LayerSamples twice = samples("l", {16, 8, 16, 32}, {50, 4, 70, 1});
  const std::vector<HeldOutPrediction> q = leave_one_width_out(twice);
  ASSERT_EQ(q.size(), 4u);
  EXPECT_NEAR(q[0].predicted, 2, 1e-9);
  EXPECT_NEAR(q[2].predicted, 2, 1e-9);
  EXPECT_EQ(q[2].constant, 2.5);
  EXPECT_TRUE(leave_one_width_out(samples("l", {8, 8, 16}, {1, 2, 3})).empty());
}

// No other (a, b) near the answer or on a coarse grid fits better.
TEST(Law, FitIsTheMinimum) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const LayerSamples layer = power_law("l", 3e-5, -1.1, 0.4, seed);
    for (const bool relative : {false, true}) {
      const ImportanceLaw law = fit_law(layer, {.relative = relative});
      const double best = squares(layer, law.a, law.b, relative);
      for (const double da : {-1e-4, 0.0, 1e-4}) {
        for (const double db : {-1e-4, 0.0, 1e-4}) {
          EXPECT_GE(squares(layer, law.a * (1 + da), law.b + db, relative), best * (1 - 1e-12))
              << "seed " << seed;
        }
      }
      for (double b = -3; b <= 1; b += 0.01) {
        for (double a = 1e-6; a < 1e-2; a *= 1.1) {
          ASSERT_GE(squares(layer, a, b, relative), best * (1 - 1e-12)) << "seed " << seed;
        }
      }
    }
  }
}

TEST(Law, RelativeWeightingServesWideLayers) {
  const LayerSamples layer = samples("l", {16, 32, 64, 128, 256}, {1, .55, .33, .18, .11});
  const ImportanceLaw plain = fit_law(layer), relative = fit_law(layer, {.relative = true});
  EXPECT_LT(std::abs(relative(256) / .11 - 1), std::abs(plain(256) / .11 - 1));
  EXPECT_GT(plain.r2, relative.r2);
}

TEST(Law, R2CanBeNegative) {
  // Rising importance, replaced by a falling law: worse than the mean.
  const std::vector<LayerSamples> layers = {power_law("a", 1, -2), power_law("b", 1, 1)};
  EXPECT_LT(fit_laws(layers)[1].r2, 0);
}

TEST(Law, RisingLawsBorrowTheMedianExponent) {
  const std::vector<LayerSamples> layers = {power_law("a", 1, -0.5), power_law("b", 2, 0.3),
                                            power_law("c", 1, -0.7), power_law("d", 1, -2.0)};
  const std::vector<ImportanceLaw> laws = fit_laws(layers);
  EXPECT_TRUE(laws[0].warning.empty());
  EXPECT_NEAR(laws[1].b, -0.7, 1e-9);
  EXPECT_NEAR(laws[1].fitted_b, 0.3, 1e-6);
  EXPECT_CONTAINS(laws[1].warning, "0.3");
  double logs = 0, mean = 0;
  for (const ImportanceSample& s : layers[1].samples) {
    logs += std::log(s.width) / 5;
    mean += s.importance / 5;
  }
  EXPECT_NEAR(laws[1](std::exp(logs)), mean, 1e-12);
  EXPECT_THROW(fit_laws(layers, {.strict = true}), ConfigError);
}

TEST(Law, WithoutAnyFallingLawTheExponentIsMinusOne) {
  const std::vector<LayerSamples> layers = {power_law("a", 1, 0.5), power_law("b", 2, 0)};
  for (const ImportanceLaw& law : fit_laws(layers)) EXPECT_EQ(law.b, -1);
}

TEST(Law, DeadLayerIsNeverImportant) {
  const std::vector<LayerSamples> layers = {power_law("a", 1, -1),
                                            samples("dead", {8, 16}, {0, 0})};
  const ImportanceLaw dead = fit_laws(layers)[1];
  EXPECT_EQ(dead(8), 0);
  EXPECT_CONTAINS(dead.warning, "dead");
}

TEST(Law, RefusesWhatCannotBeFitted) {
  EXPECT_THROW(fit_law(samples("l", {}, {})), ConfigError);
  EXPECT_THROW(fit_law(samples("l", {16, 16}, {1, 2})), ConfigError);
  EXPECT_THROW(fit_law(samples("l", {0, 16}, {1, 2})), ConfigError);
  EXPECT_THROW(fit_law(samples("l", {8, 16}, {1, -2})), ConfigError);
  EXPECT_THROW(fit_law(samples("l", {8, 16}, {1, NAN})), ConfigError);
  EXPECT_THROW(fit_law(samples("l", {8, INFINITY}, {1, 1})), ConfigError);
}

TEST(Law, MixedResolutionsAreNamed) {
  LayerSamples layer = power_law("l", 1, -1);
  for (ImportanceSample& s : layer.samples) s.resolution = 32;
  EXPECT_EQ(fit_law(layer).resolution, 32);
  layer.samples[2].resolution = 40;
  EXPECT_EQ(fit_law(layer).resolution, 0);
  EXPECT_FALSE(fit_law(layer).warning.empty());
}

TEST(Law, CollinearityIsNamed) {
  const std::vector<std::int64_t> baseline = {16, 32, 64};
  const auto note = [&](const SamplingOptions& options) {
    std::vector<LayerSamples> layers(3);
    for (const auto& widths : sample_widths(baseline, options)) {
      for (std::size_t l = 0; l < 3; ++l) {
        layers[l].samples.push_back({.width = static_cast<double>(widths[l]), .importance = 1});
      }
    }
    return collinearity_note(layers);
  };
  EXPECT_NE(note({}), "");
  EXPECT_EQ(note({.kind = SamplingKind::latin_hypercube, .samples = 8}), "");
}

TEST(Law, JsonRoundTrip) {
  const std::vector<LayerSamples> layers = {power_law("features.0", 1.7e-4, -1.5, 0.2, 3),
                                            power_law("b \"quoted\"", 2, 0.3)};
  const std::vector<ImportanceLaw> laws = fit_laws(layers);
  EXPECT_EQ(laws_from_json(to_json(laws)), laws);
}

// Values of another type or out of bounds: tests/tools/test_fields.cpp.
TEST(Law, HostileJsonIsRefused) {
  const std::string good = to_json(fit_laws(std::vector<LayerSamples>{power_law("l", 1, -1)}));
  EXPECT_NO_THROW(laws_from_json(good));
  for (const std::string& text :
       {std::string("[]"), std::string(R"({"laws": 3})"), good + "x",
        good.substr(0, good.size() / 2), replaced(good, "\"n\": 5", "\"n\": 1e999"),
        replaced(good, "\"layer\": \"l\",", "")}) {
    EXPECT_THROW(laws_from_json(text), ConfigError) << text.substr(0, 300);
  }
}

TEST(Sampling, UniformMultipliersRound) {
  const auto all = sample_widths({16, 64, 100});
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[0], (std::vector<std::int64_t>{8, 32, 52}));  // 50 is halfway: up
  EXPECT_EQ(all[2], (std::vector<std::int64_t>{16, 64, 100}));
  EXPECT_EQ(all[4], (std::vector<std::int64_t>{32, 128, 200}));
}

TEST(Sampling, HypercubeVisitsEveryStratumOnce) {
  const int n = 7;
  const SamplingOptions options{.kind = SamplingKind::latin_hypercube,
                                .samples = n,
                                .low = 0.5,
                                .high = 2,
                                .round_to = 1,
                                .seed = 11};
  const auto all = sample_widths({10000, 20000, 30000}, options);
  for (std::size_t l = 0; l < 3; ++l) {
    std::set<int> strata;
    for (const auto& widths : all) {
      const double m = static_cast<double>(widths[l]) / (10000.0 * static_cast<double>(l + 1));
      EXPECT_GE(m, 0.4999);
      EXPECT_LE(m, 2.0001);
      strata.insert(static_cast<int>(std::floor(std::log(m / 0.5) / std::log(4.0) * n - 1e-6)));
    }
    EXPECT_GE(strata.size(), 6u) << "layer " << l;  // one may lie on an edge after rounding
  }
  EXPECT_EQ(sample_widths({10000, 20000, 30000}, options), all);
  // The layers visit their strata in orders of their own.
  int agree = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    agree += (all[i][0] > all[i - 1][0]) == (all[i][1] > all[i - 1][1]);
  }
  EXPECT_LT(agree, n - 1);
  SamplingOptions other = options;
  other.seed = 12;
  EXPECT_NE(sample_widths({10000, 20000, 30000}, other), all);
}

TEST(Sampling, RefusesTooFewOrTooCoarse) {
  EXPECT_THROW(sample_widths({16}, {.multipliers = {1, 2, 3, 4}}), ConfigError);
  EXPECT_THROW(sample_widths({16}, {.multipliers = {0, 1, 2, 3, 4}}), ConfigError);
  EXPECT_THROW(sample_widths({16}, {.multipliers = {NAN, 1, 2, 3, 4}}), ConfigError);
  EXPECT_THROW(sample_widths({16}, {.round_to = 16}), ConfigError);     // two coincide
  EXPECT_THROW(sample_widths({1, 999}, {.round_to = 8}), ConfigError);  // layer 0 never moves
  EXPECT_THROW(sample_widths({16}, {.round_to = 0}), ConfigError);
  EXPECT_THROW(sample_widths({16}, {.kind = SamplingKind::latin_hypercube, .samples = 4}),
               ConfigError);
  EXPECT_THROW(sample_widths({16}, {.kind = SamplingKind::latin_hypercube, .low = 2}), ConfigError);
}

}  // namespace
}  // namespace hac
