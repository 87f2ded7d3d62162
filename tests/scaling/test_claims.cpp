// The paper's claims by made-up results, where each holds, does not, and cannot be told.

#include "scaling/experiment/claims.h"

#include <cmath>

#include "tests/support/messages.h"

namespace hac {
namespace {

using enum ClaimVerdict;

const Claim& claim_of(const std::vector<Claim>& claims, const std::string& id) {
  for (const Claim& c : claims) {
    if (c.id == id) return c;
  }
  throw std::out_of_range(id);
}

Sweep sweep(const std::string& dimension, std::vector<std::array<double, 2>> macs_and_rate,
            double error = 0.01) {
  Sweep s{.dimension = dimension, .points = {}};
  for (const auto& [macs, rate] : macs_and_rate) {
    s.points.push_back({.macs = macs, .gmacs_per_s = rate, .error = error});
  }
  return s;
}

TEST(Claims, UtilizationIsComparedAtTheLargestCommonGrowth) {
  // Depth ends at 2x: of width the point at 2x counts, not the one at 4x, whatever their order.
  Results r{.sweeps = {sweep("width", {{4, 9}, {1, 2}, {2, 2.8}}),
                       sweep("resolution", {{1, 2}, {2.1, 2.02}}),
                       sweep("depth", {{1, 2}, {2, 1.9}})}};
  std::vector<Claim> claims = utilization_claims(r);
  EXPECT_EQ(claims[0].verdict, holds);
  EXPECT_NEAR(claims[0].effect, 1.4, 1e-12);
  EXPECT_NEAR(claims[0].low, 1.4 * (1 - 0.01 * std::sqrt(2.0)), 1e-12);
  EXPECT_EQ(claims[1].verdict, does_not_hold);  // 1 %
  EXPECT_EQ(claims[2].verdict, holds);          // depth does not raise it
  r.sweeps[2] = sweep("depth", {{1, 2}, {2, 3}});
  EXPECT_EQ(utilization_claims(r)[2].verdict, does_not_hold);
}

TEST(Claims, UtilizationThatNoiseHidesCannotBeTold) {
  Results r{.sweeps = {sweep("width", {{1, 2}, {2, 2.2}}, 0.06)}};
  EXPECT_EQ(utilization_claims(r)[0].verdict, cannot_be_told);  // 1.1 within 0.09
  EXPECT_CONTAINS(utilization_claims(r)[2].figures, "no sweep of the depth");
  r.sweeps[0].points[1].gmacs_per_s = 4;
  EXPECT_EQ(utilization_claims(r)[0].verdict, holds);
  r.sweeps[0].points[1].steady = false;
  EXPECT_EQ(utilization_claims(r)[0].verdict, cannot_be_told);
  r.sweeps[0] = sweep("width", {{1, 2}, {2, 4}}, unknown);
  EXPECT_CONTAINS(utilization_claims(r)[0].figures, "no interval");
  r.modelled = "Jetson TX2 (modelled)";  // which has no noise
  EXPECT_EQ(utilization_claims(r)[0].verdict, holds);
  EXPECT_CONTAINS(utilization_claims(r)[0].figures, "by Jetson TX2 (modelled)");
}

// Layers of the laws given, sampled at common widths, every importance times noise(layer, sample).
template <class Noise>
Results importance(const std::vector<ImportanceLaw>& laws, Noise noise) {
  Results r;
  for (std::size_t l = 0; l < laws.size(); ++l) {
    LayerLaw layer{.law = laws[l]};
    int i = 0;
    for (const double c : {8, 12, 16, 24, 32}) {
      layer.points.push_back({c, laws[l](c) * noise(static_cast<int>(l), i++)});
    }
    r.importance.push_back(std::move(layer));
  }
  return r;
}

const std::vector<ImportanceLaw> five_laws = {{.layer = "a", .a = 5, .b = -1, .r2 = .99},
                                              {.layer = "b", .a = 3, .b = -.9, .r2 = .98},
                                              {.layer = "c", .a = 1, .b = -.8, .r2 = .97},
                                              {.layer = "d", .a = .1, .b = -1, .r2 = .96},
                                              {.layer = "e", .a = .01, .b = -.9, .r2 = .95}};

TEST(Claims, PowerLawHoldsOnHeldOutWidths) {
  const Results r = importance(five_laws, [](int l, int i) { return 1 + .01 * ((l + i) % 3); });
  const std::vector<Claim> claims = importance_claims(r);
  EXPECT_EQ(claims[0].verdict, holds) << claims[0].figures;
  EXPECT_LT(claims[0].effect, 0.1);
  EXPECT_EQ(claims[1].verdict, holds) << claims[1].figures;
  EXPECT_NEAR(claims[1].p, 2.0 / 120, 1e-12);  // one order of five layers, both ways
}

TEST(Claims, PowerLawDoesNotHoldWhereWidthSaysNothing) {
  const auto noise = [](int l, int i) { return std::exp(((l * 7 + i * 5) % 4) - 1.5); };
  std::vector<ImportanceLaw> flat = five_laws;
  for (ImportanceLaw& law : flat) law.a = 1, law.b = 0, law.r2 = 0.1;
  EXPECT_EQ(importance_claims(importance(flat, noise))[0].verdict, does_not_hold);
  const std::vector<ImportanceLaw> few(five_laws.begin(), five_laws.begin() + 2);
  const auto none = [](int, int) { return 1.0; };
  EXPECT_EQ(importance_claims(importance(few, none))[0].verdict, cannot_be_told);
  EXPECT_CONTAINS(importance_claims({})[0].figures, "0 layers");
  // A tolerable error, but a fit that is neither good nor poor.
  std::vector<ImportanceLaw> middling = five_laws;
  for (ImportanceLaw& law : middling) law.r2 = 0.7;
  EXPECT_EQ(importance_claims(importance(middling, none))[0].verdict, cannot_be_told);
}

TEST(Claims, RankingFailsWhereTheOrderIsAnother) {
  // Every width turns the order of the layers round: the law of the others is wrong each time.
  std::vector<ImportanceLaw> same(5, {.a = 1, .b = 0, .r2 = 0});
  const Results r =
      importance(same, [](int l, int i) { return std::exp((i % 2 ? 1.0 : -1.0) * (l - 2)); });
  EXPECT_NE(importance_claims(r)[1].verdict, holds);
  const std::vector<ImportanceLaw> three(five_laws.begin(), five_laws.begin() + 3);
  const std::vector<Claim> few = importance_claims(importance(three, [](int, int) { return 1.; }));
  EXPECT_EQ(few[1].verdict, cannot_be_told);
  EXPECT_CONTAINS(few[1].figures, "3 layers, of four");
}

AlphaPoint alpha(double a, std::vector<double> values) {
  return {
      .alpha = a, .top1 = {.mean = mean(values), .values = std::move(values)}, .feasible = true};
}

TEST(Claims, AlphaIsJudgedByItsExtremes) {
  Results r;
  EXPECT_EQ(alpha_claim(r).verdict, cannot_be_told);
  r.alpha.points = {alpha(.2, {.70, .71, .705}), alpha(.5, {.80, .81, .8055}),
                    alpha(.8, {.75, .752, .757})};
  const Claim claim = alpha_claim(r);
  EXPECT_EQ(claim.verdict, holds) << claim.figures;
  EXPECT_NEAR(claim.effect, 0.1002, 1e-3);
  EXPECT_CONTAINS(claim.figures, "alpha 0.50 over 0.20", "3 comparisons");
  // Noise as large as the difference.
  r.alpha.points = {alpha(.2, {.70, .76, .73}), alpha(.5, {.74, .72, .78})};
  EXPECT_EQ(alpha_claim(r).verdict, cannot_be_told);
  // Less than half a point, surely.
  r.alpha.points = {alpha(.2, {.7010, .7110, .7052}), alpha(.5, {.7012, .7105, .7054})};
  EXPECT_EQ(alpha_claim(r).verdict, does_not_hold);
  r.alpha.points = {alpha(.2, {.70}), alpha(.5, {.80})};
  EXPECT_CONTAINS(alpha_claim(r).figures, "1 common seeds");
}

TableRow row(const std::string& key, std::vector<double> values, double ms = 1, double params = 1) {
  TableRow r{.method = key, .params = params, .resolution = 32, .predicted_ms = ms};
  r.measured.ms.median = ms;
  r.top1 = {.mean = mean(values), .values = std::move(values)};
  r.key = key;
  return r;
}

const std::vector<double> better{.801, .803, .8022}, worse{.760, .7615, .7622};
const std::vector<double> noisy{.77, .84, .801};

TEST(Claims, HacscaleAgainstItsRivals) {
  const Results r{.table = {row("baseline", worse, .5), row("hacscale", better),
                            row("uniform-width", worse), row("lacs", noisy), row("depth", {.8}),
                            row("uniform-params", worse)}};
  const std::vector<Claim> claims = accuracy_claims(r);
  EXPECT_EQ(claim_of(claims, "widths-latency").verdict, holds);
  EXPECT_EQ(claim_of(claims, "widths-params").verdict, holds);
  EXPECT_EQ(claim_of(claims, "beats-lacs").verdict, cannot_be_told);
  EXPECT_EQ(claim_of(claims, "beats-depth").verdict, cannot_be_told);
  EXPECT_EQ(claim_of(claims, "beats-depth").place, "Table I");
  EXPECT_CONTAINS(claim_of(claims, "beats-lacs").place, "not in the paper");
  EXPECT_CONTAINS(claim_of(claims, "beats-depth").figures, "0 common seeds");
  EXPECT_CONTAINS(claim_of(claims, "near-optimum-accuracy").figures, "no row of dp");
  // Holm: two equal tests and one of no use; three in the family.
  const double p = paired_test(better, worse).p;
  EXPECT_NEAR(claim_of(claims, "widths-latency").p, 3 * p, 1e-15);
  EXPECT_CONTAINS(claim_of(claims, "widths-latency").figures, "3 comparisons", "95 %");
  EXPECT_THROW(claim_of(claims, "beats-baseline"), std::out_of_range);
}

TEST(Claims, HolmTakesBackWhatOneComparisonAloneWouldTell) {
  const std::vector<double> lower{.795, .793, .7955};
  Results r{.table = {row("hacscale", better), row("uniform-width", lower)}};
  const Claim alone = claim_of(accuracy_claims(r), "widths-latency");
  EXPECT_EQ(alone.verdict, holds) << alone.figures;
  for (const char* key : {"lacs", "depth", "resolution", "compound", "neuralscale", "efficientnet"})
    r.table.push_back(row(key, noisy));
  EXPECT_EQ(claim_of(accuracy_claims(r), "widths-latency").verdict, cannot_be_told);
}

TEST(Claims, CostsAreEqualOrNoneWins) {
  const auto verdict = [](double ms, const std::vector<double>& own,
                          const std::vector<double>& its) {
    const Results r{.table = {row("hacscale", own, ms), row("uniform-width", its, 1)}};
    return claim_of(accuracy_claims(r), "widths-latency");
  };
  EXPECT_EQ(verdict(1.09, better, worse).verdict, holds);
  EXPECT_EQ(verdict(0.5, better, worse).verdict, holds);
  EXPECT_EQ(verdict(1.2, better, worse).verdict, cannot_be_told);
  EXPECT_CONTAINS(verdict(1.2, better, worse).figures, "1.20x the measured latency",
                  "not at equal");
  EXPECT_EQ(verdict(1, worse, better).verdict, does_not_hold);
  EXPECT_EQ(verdict(1.2, worse, better).verdict, does_not_hold);
  EXPECT_EQ(verdict(0.5, worse, better).verdict, cannot_be_told);
  EXPECT_CONTAINS(verdict(0.5, worse, better).figures, "less than its budget");
  Results r{.table = {row("hacscale", better), row("uniform-width", worse)}};
  r.table[0].measured.ms.median = unknown;
  EXPECT_CONTAINS(claim_of(accuracy_claims(r), "widths-latency").figures, "predicted latency");
  r.table[0].limit = "infeasible";
  EXPECT_EQ(claim_of(accuracy_claims(r), "widths-latency").verdict, cannot_be_told);
}

TEST(Claims, TheSameNetworkBeatsNothingAndIsAsGood) {
  Results r{.table = {row("hacscale", better), row("uniform-width", better), row("dp", better)}};
  for (TableRow& same : r.table) same.widths = {8, 16};
  const std::vector<Claim> claims = accuracy_claims(r);
  EXPECT_EQ(claim_of(claims, "widths-latency").verdict, does_not_hold);
  EXPECT_EQ(claim_of(claims, "near-optimum-accuracy").verdict, holds);
  EXPECT_CONTAINS(claim_of(claims, "near-optimum-accuracy").figures, "the same network");
}

TEST(Claims, AConstantDifferenceHasNoKnownNoise) {
  const Results r{.table = {row("hacscale", {.9, .8, .7}), row("uniform-width", {.8, .7, .6})}};
  const Claim claim = claim_of(accuracy_claims(r), "widths-latency");
  EXPECT_EQ(claim.verdict, cannot_be_told);
  EXPECT_CONTAINS(claim.figures, "without a spread");
}

TEST(Claims, NearTheOptimum) {
  const auto claims = [](const OptimalityGap& gap, const std::vector<double>& dp) {
    Results r{.table = {row("hacscale", better), row("dp", dp)}};
    r.plans = {{.name = "hacscale", .optimality = gap}};
    return accuracy_claims(r);
  };
  const std::vector<double> near{.8012, .8028, .8025}, above{.84, .843, .8425};
  const auto good = claims({.gain = 98, .optimum = 100, .bound = 100, .proven = true}, near);
  EXPECT_EQ(claim_of(good, "near-optimum").verdict, holds);
  EXPECT_NEAR(claim_of(good, "near-optimum").effect, 0.02, 1e-12);
  EXPECT_EQ(claim_of(good, "near-optimum-accuracy").verdict, holds);
  const auto poor = claims({.gain = 80, .optimum = 90, .bound = 100}, above);
  EXPECT_EQ(claim_of(poor, "near-optimum").verdict, does_not_hold);
  EXPECT_EQ(claim_of(poor, "near-optimum-accuracy").verdict, does_not_hold);
  const auto loose = claims({.gain = 89, .optimum = 90, .bound = 100}, noisy);
  EXPECT_EQ(claim_of(loose, "near-optimum").verdict, cannot_be_told);
  EXPECT_EQ(claim_of(loose, "near-optimum-accuracy").verdict, cannot_be_told);
  EXPECT_EQ(claim_of(accuracy_claims({}), "near-optimum").verdict, cannot_be_told);
}

TEST(Claims, EfficiencyNeedsAMeter) {
  Results r{.table = {row("baseline", worse), row("hacscale", better)}};
  r.energy_reason = "no meter: RAPL\nis not readable";
  EXPECT_EQ(energy_claims(r)[0].verdict, cannot_be_told);
  EXPECT_CONTAINS(energy_claims(r)[0].figures, "no meter: RAPL");
  const auto energy = [&](double work, double joules) {
    r.table[0].macs = 1;
    r.table[1].macs = work;
    r.table[0].energy = EnergyResult{.raw = {1, .98, 1.02}};
    r.table[1].energy = EnergyResult{.raw = {joules, .98 * joules, 1.02 * joules}};
    return energy_claims(r)[0];
  };
  EXPECT_EQ(energy(4, 2).verdict, holds);
  EXPECT_NEAR(energy(4, 2).effect, 2, 1e-12);
  EXPECT_EQ(energy(2, 4).verdict, does_not_hold);
  EXPECT_EQ(energy(2, .5).verdict, does_not_hold);  // an image takes less
  EXPECT_EQ(energy(2, 1.01).verdict, cannot_be_told);
}

// Of the energy of an image 1.67 and 3.14, 1.81 and 3.97 times, from the printed power and latency.
// Operations a joule rise in three of the four rows: ResNet18 under the loose limit has 0.88x.
TEST(Claims, EfficiencyAsPrintedFallsInOneRow) {
  const Claim claim = energy_claims({})[1];
  EXPECT_EQ(claim.verdict, does_not_hold);
  EXPECT_CONTAINS(claim.figures, "tight HACScale 1.16x and 1.67x", "loose HACScale 0.88x and 3.14x",
                  "5.33x and 1.81x", "4.28x and 3.97x", "without intervals");
}

TEST(Claims, AreKeptInTheFileAndSafeForNothing) {
  Results r;
  r.claims = claims_of(r);
  EXPECT_EQ(r.claims.size(), 12U);
  const Results read = results_from_json(to_json(r));
  ASSERT_EQ(read.claims.size(), r.claims.size());
  for (std::size_t i = 0; i < r.claims.size(); ++i) {
    EXPECT_EQ(read.claims[i].id, r.claims[i].id);
    EXPECT_EQ(read.claims[i].verdict, r.claims[i].verdict);
    EXPECT_EQ(read.claims[i].figures, r.claims[i].figures);
    EXPECT_NE(r.claims[i].figures, "") << r.claims[i].id;
  }
}

}  // namespace
}  // namespace hac
