#include "scaling/experiment/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/io/text.h"
#include "scaling/paper/table1.h"

namespace hac {
namespace {

using enum ClaimVerdict;

Claim untold(Claim claim, std::string reason) {
  claim.verdict = cannot_be_told;
  claim.figures = std::move(reason);
  return claim;
}

// From the point of a sweep with the fewest operations to that of about `work` times as many.
struct Growth {
  const UtilizationPoint *from = nullptr, *to = nullptr;
  double work() const { return to->macs / from->macs; }
};

std::vector<const UtilizationPoint*> by_operations(const Results& results,
                                                   const std::string& dimension) {
  std::vector<const UtilizationPoint*> points;
  for (const Sweep& sweep : results.sweeps) {
    if (sweep.dimension != dimension) continue;
    for (const UtilizationPoint& p : sweep.points) {
      if (p.macs > 0 && p.gmacs_per_s > 0 && known(p.gmacs_per_s)) points.push_back(&p);
    }
  }
  std::stable_sort(points.begin(), points.end(),
                   [](const auto* a, const auto* b) { return a->macs < b->macs; });
  if (points.size() < 2 || !(points.back()->macs > points.front()->macs)) points.clear();
  return points;
}

Claim judged(Claim claim, const Growth& g, bool raises, const std::string& modelled) {
  if (!g.from->steady || !g.to->steady) {
    return untold(claim, "a busy machine disturbed these latencies");
  }
  const double error = modelled.empty() ? std::hypot(g.from->error, g.to->error) : 0;
  claim.effect = g.to->gmacs_per_s / g.from->gmacs_per_s;
  claim.figures = fmt::format("{:.2f}x the operations, {:.2f}x the GMAC/s", g.work(), claim.effect);
  if (!known(error)) return untold(claim, claim.figures + ", of which the file has no interval");
  claim.low = claim.effect * (1 - error);
  claim.high = claim.effect * (1 + error);
  claim.figures += modelled.empty() ? fmt::format(" (95 % {:.2f} to {:.2f})", claim.low, claim.high)
                                    : " by " + modelled;
  const double limit = 1 + ClaimRules::noticeable;
  const bool raised = claim.low > limit, held = claim.high <= limit;
  if (raised || held) claim.verdict = raised == raises ? holds : does_not_hold;
  return claim;
}

}  // namespace

std::vector<Claim> utilization_claims(const Results& results) {
  const std::string dimensions[] = {"width", "resolution", "depth"};
  double common = std::numeric_limits<double>::infinity();
  for (const std::string& dimension : dimensions) {
    const auto points = by_operations(results, dimension);
    if (!points.empty()) common = std::min(common, points.back()->macs / points.front()->macs);
  }
  std::vector<Claim> claims;
  for (const std::string& dimension : dimensions) {
    const bool raises = dimension != "depth";
    Claim claim{.id = dimension + "-utilization",
                .claim = fmt::format("Scaling the {} {} the utilization of the hardware", dimension,
                                     raises ? "raises" : "does not raise"),
                .place = "Fig. 2, Section III-B",
                .figures = ""};
    const auto points = by_operations(results, dimension);
    if (points.empty()) {
      claims.push_back(untold(claim, fmt::format("the run has no sweep of the {}", dimension)));
      continue;
    }
    Growth g{.from = points.front(), .to = points.back()};
    for (const UtilizationPoint* p : points) {
      const auto off = [&](const UtilizationPoint* q) {
        return std::abs(std::log(q->macs / g.from->macs / common));
      };
      if (p->macs > g.from->macs && off(p) < off(g.to)) g.to = p;
    }
    claims.push_back(judged(claim, g, raises, results.modelled));
  }
  return claims;
}

namespace {

// Both factors against 1, by their intervals.
ClaimVerdict both_rise(double first_low, double first_high, double second_low, double second_high) {
  if (first_low > 1 && second_low > 1) return holds;
  return first_high <= 1 || second_high <= 1 ? does_not_hold : cannot_be_told;
}

Claim energy_here(const Results& results, Claim claim) {
  const TableRow *baseline = nullptr, *hacscale = nullptr;
  for (const TableRow& row : results.table) {
    if (row.key == "baseline") baseline = &row;
    if (row.key == "hacscale") hacscale = &row;
  }
  if (baseline == nullptr || hacscale == nullptr) {
    return untold(claim, "the run has no row of HACScale, or of the baseline");
  }
  if (!baseline->energy || !hacscale->energy) {
    return untold(claim, results.energy_reason.empty() ? "no energy was measured"
                                                       : one_line(results.energy_reason));
  }
  const EnergyFigure &from = baseline->energy->raw, &to = hacscale->energy->raw;
  const double work = hacscale->macs / baseline->macs, energy = to.mean / from.mean;
  const double energy_low = to.low / from.high, energy_high = to.high / from.low;
  claim.effect = work / energy;
  claim.low = work / energy_high;
  claim.high = work / energy_low;
  claim.verdict = both_rise(claim.low, claim.high, energy_low, energy_high);
  claim.figures = fmt::format(
      "{:.2f}x the operations a joule (95 % {:.2f} to {:.2f}), {:.2f}x the energy of an image "
      "({:.2f} to {:.2f}) by {}",
      claim.effect, claim.low, claim.high, energy, energy_low, energy_high,
      hacscale->energy->meter);
  return claim;
}

Claim energy_printed(Claim claim) {
  std::vector<std::string> rows;
  double efficiency = unknown, energy = unknown;  // the smallest
  for (const Table1Row& row : table1().rows) {
    if (row.method != "HACScale") continue;
    const double ratio = check(row).energy_ratio;
    efficiency = std::fmin(efficiency, row.printed.efficiency_ratio);
    energy = std::fmin(energy, ratio);
    rows.push_back(
        fmt::format("{} {:.2f}x and {:.2f}x", row.name(), row.printed.efficiency_ratio, ratio));
  }
  claim.effect = efficiency;
  claim.verdict = both_rise(efficiency, efficiency, energy, energy);
  claim.figures = fmt::format(
      "operations a joule and energy of an image (power times latency), as printed, without "
      "intervals: {}",
      fmt::join(rows, "; "));
  return claim;
}

}  // namespace

std::vector<Claim> energy_claims(const Results& results) {
  return {energy_here(results, {.id = "efficiency",
                                .claim = "HACScale does more operations a joule, although an image "
                                         "takes more energy",
                                .place = "Fig. 5, Table I",
                                .figures = ""}),
          energy_printed({.id = "efficiency-printed",
                          .claim = "The same, by the figures that the paper prints",
                          .place = "Table I",
                          .figures = ""})};
}

std::vector<Claim> claims_of(const Results& results) {
  std::vector<Claim> all;
  const auto add = [&](std::vector<Claim> claims) {
    std::move(claims.begin(), claims.end(), std::back_inserter(all));
  };
  add(utilization_claims(results));
  add(importance_claims(results));
  add({alpha_claim(results)});
  add(accuracy_claims(results));
  add(energy_claims(results));
  return all;
}

}  // namespace hac
