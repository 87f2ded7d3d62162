// The claims of Fig. 3: what the laws say of widths that they were not fitted on.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scaling/experiment/claims.h"

namespace hac {
namespace {

using enum ClaimVerdict;
using Predictions = std::vector<HeldOutPrediction>;

constexpr double kGoodR2 = 0.8, kPoorR2 = 0.5;  // of the median layer
constexpr double kGoodOrder = 0.8;              // a rank correlation

// As the run fitted its own.
FitOptions fit_options(const Results& results) {
  const auto section = results.settings.find("importance");
  if (section == results.settings.end()) return {};
  const auto relative = section->second.find("relative");
  const bool* set =
      relative == section->second.end() ? nullptr : std::get_if<bool>(&relative->second);
  return {.relative = set != nullptr && *set};
}

// Of each layer with enough widths, in the order of its samples.
std::vector<Predictions> held_out(const Results& results) {
  std::vector<Predictions> layers;
  for (const LayerLaw& layer : results.importance) {
    LayerSamples samples{.layer = layer.law.layer, .samples = {}};
    for (const auto& [width, importance] : layer.points) {
      samples.samples.push_back({.width = width, .importance = importance});
    }
    Predictions p = leave_one_width_out(samples, fit_options(results));
    if (!p.empty()) layers.push_back(std::move(p));
  }
  return layers;
}

double relative_error(const HeldOutPrediction& p, double predicted) {
  return std::abs(predicted / p.observed - 1);
}

// ln of the law's median error over that of a constant, of each layer.
struct HeldOutErrors {
  std::vector<double> log_ratio, law, constant;
};
HeldOutErrors errors_of(const std::vector<Predictions>& layers) {
  constexpr double kExact = 1e-9;
  HeldOutErrors all;
  for (const Predictions& layer : layers) {
    std::vector<double> law, constant;
    for (const HeldOutPrediction& p : layer) {
      if (!(p.observed > 0)) continue;
      law.push_back(std::max(relative_error(p, p.predicted), kExact));
      constant.push_back(std::max(relative_error(p, p.constant), kExact));
    }
    if (law.empty()) continue;
    all.law.push_back(median(law));
    all.constant.push_back(median(constant));
    all.log_ratio.push_back(std::log(all.law.back() / all.constant.back()));
  }
  return all;
}

Claim power_law(const Results& results, const std::vector<Predictions>& layers, Claim claim) {
  const HeldOutErrors errors = errors_of(layers);
  if (errors.log_ratio.size() < 3) {
    claim.figures = fmt::format(
        "importance was measured at three widths or more in {} layers, of three at least",
        errors.log_ratio.size());
    return claim;
  }
  std::vector<double> r2;
  for (const LayerLaw& layer : results.importance) r2.push_back(layer.law.r2);
  const double fit = median(r2);
  const MeanTest test = mean_test(errors.log_ratio);
  claim.effect = std::exp(test.mean.mean);
  claim.low = std::exp(test.mean.low);
  claim.high = std::exp(test.mean.high);
  claim.p = test.p;
  claim.figures = fmt::format(
      "R\u00b2 {:.2f} in the median layer ({:.2f} to {:.2f}); on widths left out of the fit the "
      "median error is {:.0f} %, that of a constant {:.0f} %, {:.2f} of it (95 % over layers "
      "{:.2f} "
      "to {:.2f})",
      fit, *std::min_element(r2.begin(), r2.end()), *std::max_element(r2.begin(), r2.end()),
      100 * median(errors.law), 100 * median(errors.constant), claim.effect, claim.low, claim.high);
  const bool better = claim.high<1, worse = claim.low> 1;
  if (better && fit >= kGoodR2) claim.verdict = holds;
  if (worse || fit < kPoorR2) claim.verdict = does_not_hold;
  return claim;
}

Claim order(const std::vector<Predictions>& layers, Claim claim) {
  const std::size_t networks = layers.empty() ? 0 : layers[0].size();
  const bool same = std::all_of(layers.begin(), layers.end(),
                                [&](const Predictions& l) { return l.size() == networks; });
  if (layers.size() < 4 || !same) {
    claim.figures = fmt::format(
        "importance was measured at three widths or more in {} layers, of four at least, to be "
        "ranked",
        layers.size());
    return claim;
  }
  std::vector<std::vector<double>> predicted(networks), observed(networks);
  std::vector<double> each;
  for (std::size_t k = 0; k < networks; ++k) {
    for (const Predictions& layer : layers) {
      predicted[k].push_back(layer[k].predicted);
      observed[k].push_back(layer[k].observed);
    }
    each.push_back(spearman({&predicted[k], 1}, {&observed[k], 1}).rho);
  }
  const RankCorrelation all = spearman(predicted, observed);
  if (!known(all.rho)) {
    claim.figures = "all layers have the same importance";
    return claim;
  }
  claim.effect = all.rho;
  claim.low = *std::min_element(each.begin(), each.end());
  claim.high = *std::max_element(each.begin(), each.end());
  claim.p = all.p;
  claim.figures = fmt::format(
      "Spearman's correlation over {} layers is {:.2f} on widths left out of the fit ({:.2f} to "
      "{:.2f} in single networks), p = {:.2g} over all orders of the layers",
      layers.size(), all.rho, claim.low, claim.high, all.p);
  const bool significant = all.p < ClaimRules::significant;
  if (significant && all.rho >= kGoodOrder) claim.verdict = holds;
  if (all.rho <= 0) claim.verdict = does_not_hold;
  return claim;
}

}  // namespace

std::vector<Claim> importance_claims(const Results& results) {
  const std::vector<Predictions> layers = held_out(results);
  return {power_law(results, layers,
                    {.id = "power-law",
                     .claim = "The importance of a layer is a power law of its width",
                     .place = "Fig. 3, Eq. 6",
                     .figures = ""}),
          order(layers, {.id = "ranking",
                         .claim = "The laws rank the layers as their importance does",
                         .place = "Fig. 3, Section III-C",
                         .figures = ""})};
}

}  // namespace hac
