// The claims that trained accuracies judge: differences paired by seed.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scaling/experiment/claims.h"

namespace hac {
namespace {

using enum ClaimVerdict;

const TableRow* row_of(const Results& results, const std::string& key) {
  const auto it = std::find_if(results.table.begin(), results.table.end(),
                               [&](const TableRow& row) { return row.key == key; });
  return it == results.table.end() ? nullptr : &*it;
}

std::string in_points(double difference) { return fmt::format("{:+.2f}", 100 * difference); }

// Sets effect, interval and p of a - b, uncorrected; or says why nothing can be told, and false.
bool compare(const std::vector<double>& a, const std::vector<double>& b, Claim& claim) {
  if (a.size() != b.size() || a.size() < ClaimRules::seeds) {
    claim.figures = fmt::format("trained on {} common seeds, of {} at least",
                                a.size() == b.size() ? a.size() : 0, ClaimRules::seeds);
    return false;
  }
  const MeanTest test = paired_test(a, b);
  claim.effect = test.mean.mean;
  if (!known(test.p)) {
    claim.figures =
        fmt::format("{} points on each of {} seeds: without a spread its noise is not known",
                    in_points(test.mean.mean), test.n);
    return false;
  }
  claim.low = test.mean.low;
  claim.high = test.mean.high;
  claim.p = test.p;
  claim.figures = fmt::format("{} points over {} seeds (95 % {} to {})", in_points(claim.effect),
                              test.n, in_points(claim.low), in_points(claim.high));
  return true;
}

bool significant(const Claim& claim) { return claim.p < ClaimRules::significant; }

void say_p(Claim& claim, std::size_t comparisons) {
  claim.figures += fmt::format(", p = {:.2g}", claim.p);
  if (comparisons > 1) claim.figures += fmt::format(" corrected for {} comparisons", comparisons);
}

// A claim with the costs at which it compares.
struct Comparison {
  Claim claim;
  double cost = 1;        // HACScale's over the other's
  std::string cost_name;  // "latency"; "" where costs do not matter
  bool near = false;      // claims no advantage over it, but no loss either
};

// Of the networks as they ran, where no busy machine disturbed them; else as they were predicted.
double latency_ratio(const TableRow& a, const TableRow& b, std::string& name) {
  const LatencyStats &x = a.measured.ms, &y = b.measured.ms;
  const bool ran = x.steady() && y.steady() && known(x.median) && known(y.median);
  name = ran && !a.measured.modelled ? "measured latency" : "predicted latency";
  return ran ? x.median / y.median : a.predicted_ms / b.predicted_ms;
}

void judge(Comparison& c, std::size_t comparisons) {
  Claim& claim = c.claim;
  say_p(claim, comparisons);
  if (!c.cost_name.empty()) {
    claim.figures += fmt::format(", at {:.2f}x the {}", c.cost, c.cost_name);
  }
  if (c.near) {
    const bool lost = significant(claim) && claim.effect < -ClaimRules::negligible;
    if (lost) claim.verdict = does_not_hold;
    if (claim.low > -ClaimRules::negligible) claim.verdict = holds;
    return;
  }
  const bool may_win = c.cost <= 1 + ClaimRules::equal_cost;
  const bool may_lose = c.cost >= 1 - ClaimRules::equal_cost;
  if (!may_win && !may_lose) claim.figures += ", which is not known";
  if (!significant(claim)) return;
  const bool won = claim.effect > 0;
  if (won ? may_win : may_lose) {
    claim.verdict = won ? holds : does_not_hold;
  } else {
    claim.figures += won ? ": more accurate, but not at equal cost"
                         : ": less accurate, but it took less than its budget";
  }
}

// All that HACScale's row is compared with: one family.
class TableComparisons {
 public:
  explicit TableComparisons(const Results& results)
      : results_(results), hacscale_(row_of(results, "hacscale")) {}

  void add(const std::string& key, Claim claim, bool params, bool near = false) {
    const TableRow* other = row_of(results_, key);
    Comparison c{.claim = std::move(claim), .cost_name = "", .near = near};
    if (hacscale_ == nullptr || other == nullptr) {
      c.claim.figures =
          fmt::format("the table has no row of {}", hacscale_ == nullptr ? "hacscale" : key);
    } else if (hacscale_->limit == "infeasible") {
      c.claim.figures = "HACScale found no network within the budget";
    } else if (!other->widths.empty() && hacscale_->widths == other->widths &&
               hacscale_->resolution == other->resolution && hacscale_->params == other->params) {
      c.claim.verdict = near ? holds : does_not_hold;
      c.claim.figures = "both are the same network";
    } else if (compare(hacscale_->top1.values, other->top1.values, c.claim)) {
      if (params) {
        c.cost = hacscale_->params / other->params;
        c.cost_name = "parameters";
      } else {
        c.cost = latency_ratio(*hacscale_, *other, c.cost_name);
      }
      if (hacscale_->resolution != other->resolution) {
        c.claim.figures +=
            fmt::format(", {:.0f} px against {:.0f}", hacscale_->resolution, other->resolution);
      }
    }
    all_.push_back(std::move(c));
  }

  std::vector<Claim> judged() {
    std::vector<double> p;
    for (const Comparison& c : all_) p.push_back(c.claim.p);
    const auto comparisons = static_cast<std::size_t>(
        std::count_if(p.begin(), p.end(), [](double x) { return known(x); }));
    const std::vector<double> corrected = holm(p);
    std::vector<Claim> claims;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      all_[i].claim.p = corrected[i];
      if (known(corrected[i])) judge(all_[i], comparisons);
      claims.push_back(all_[i].claim);
    }
    return claims;
  }

 private:
  const Results& results_;
  const TableRow* hacscale_;
  std::vector<Comparison> all_;
};

// Of HACScale's family, or no rival at its latency.
bool is_rival(const TableRow& row) {
  return !row.key.empty() && row.key != "baseline" && row.key != "uniform-width" &&
         row.key != equal_params_key && row.key != "dp" && !row.key.starts_with("hacscale");
}

Claim gap_claim(const Results& results) {
  Claim claim{.id = "near-optimum",
              .claim = "Algorithm 1 finds nearly the widths that its laws value most",
              .place = "Algorithm 1, implied",
              .figures = ""};
  const TableRow* hacscale = row_of(results, "hacscale");
  const auto plan = std::find_if(
      results.plans.begin(), results.plans.end(),
      [&](const ReportedPlan& p) { return hacscale != nullptr && p.name == hacscale->method; });
  if (plan == results.plans.end() || !plan->optimality || !(plan->optimality->bound > 0)) {
    claim.figures = "the optimum of HACScale's plan is not known";
    return claim;
  }
  const OptimalityGap& g = *plan->optimality;
  claim.effect = claim.high = g.gap();
  claim.low = g.optimum > 0 ? 1 - g.gain / g.optimum : unknown;
  claim.figures = g.proven
                      ? fmt::format("{:.1f} % of the gain of the optimum is missing", 100 * g.gap())
                      : fmt::format("{:.1f} to {:.1f} % of the gain of the optimum is missing",
                                    100 * claim.low, 100 * claim.high);
  if (claim.high <= ClaimRules::noticeable) claim.verdict = holds;
  if (claim.low > ClaimRules::noticeable) claim.verdict = does_not_hold;
  return claim;
}

}  // namespace

Claim alpha_claim(const Results& results) {
  Claim claim{.id = "alpha",
              .claim = "How growth is shared between resolution and width decides on the accuracy",
              .place = "Eq. 4, Section III-B",
              .figures = ""};
  std::vector<const AlphaPoint*> points;
  for (const AlphaPoint& p : results.alpha.points) {
    if (p.feasible && known(p.top1.mean)) points.push_back(&p);
  }
  if (points.size() < 2) {
    claim.figures = fmt::format("{} values of alpha were trained, of two at least", points.size());
    return claim;
  }
  std::stable_sort(points.begin(), points.end(),
                   [](const auto* a, const auto* b) { return a->top1.mean > b->top1.mean; });
  std::vector<double> p;
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t j = i + 1; j < points.size(); ++j) {
      Claim pair;
      compare(points[i]->top1.values, points[j]->top1.values, pair);
      p.push_back(pair.p);
    }
  }
  const std::size_t extremes = points.size() - 2;  // the best with the worst
  if (!compare(points.front()->top1.values, points.back()->top1.values, claim)) return claim;
  claim.p = holm(p)[extremes];
  say_p(claim, p.size());
  claim.figures += fmt::format(", of alpha {:.2f} over {:.2f} at s = {:.2f}", points.front()->alpha,
                               points.back()->alpha, results.alpha.s);
  if (significant(claim)) claim.verdict = holds;
  if (!significant(claim) && claim.high < ClaimRules::negligible) claim.verdict = does_not_hold;
  return claim;
}

std::vector<Claim> accuracy_claims(const Results& results) {
  TableComparisons table(results);
  table.add("uniform-width",
            {.id = "widths-latency",
             .claim = "Widths by importance beat uniform widths at equal latency",
             .place = "Table I, Section III-C",
             .figures = ""},
            false);
  table.add(equal_params_key,
            {.id = "widths-params",
             .claim = "Widths by importance beat uniform widths at equal parameters",
             .place = "Fig. 4, Section III-C",
             .figures = ""},
            true);
  for (const TableRow& row : results.table) {
    if (!is_rival(row)) continue;
    const bool printed =
        row.key != "lacs" && row.key != "greedy-enlarge" && row.key != "efficientnet-grid";
    table.add(row.key,
              {.id = "beats-" + row.key,
               .claim = fmt::format("HACScale beats {} at equal latency", row.method),
               .place = printed ? "Table I" : "not in the paper: a rival beyond Table I",
               .figures = ""},
              false);
  }
  table.add("dp",
            {.id = "near-optimum-accuracy",
             .claim = "Algorithm 1 is as accurate as the optimum of its laws",
             .place = "Algorithm 1, implied",
             .figures = ""},
            false, true);
  std::vector<Claim> claims = table.judged();
  claims.push_back(gap_claim(results));
  return claims;
}

}  // namespace hac
