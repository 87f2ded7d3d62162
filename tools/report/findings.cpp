#include "tools/report/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tools/report/text.h"

namespace hac::report {
namespace {

constexpr double noticeable = 0.05;

// "a", "a and b", "a, b and c"
std::string join(const std::vector<std::string>& items) {
  if (items.size() < 2) return items.empty() ? "" : items[0];
  return fmt::format("{} and {}", fmt::join(items.begin(), items.end() - 1, ", "), items.back());
}

bool has_interval(const Accuracy& a) { return known(a.mean) && known(a.low) && known(a.high); }

std::string points_text(double difference) {
  return fmt::format("{:+.2f} points", 100 * difference);
}

// Order of the two scaled methods with the highest means.
std::string order_of_best(const Results& results, const TableRow* baseline) {
  std::vector<const TableRow*> rows;
  for (const TableRow& row : results.table)
    if (&row != baseline && has_interval(row.top1)) rows.push_back(&row);
  if (rows.size() < 2) return "";
  std::stable_sort(rows.begin(), rows.end(),
                   [](auto* a, auto* b) { return a->top1.mean > b->top1.mean; });
  std::vector<std::string> tied;
  for (const TableRow* row : rows)
    if (compare(rows[0]->top1, row->top1) == Verdict::overlaps) tied.push_back(row->method);
  if (tied.size() == 1) return fmt::format(" {} is ahead of every other scaled method.", tied[0]);
  return fmt::format(" Between {} the intervals overlap: no order can be claimed.", join(tied));
}

}  // namespace

Verdict compare(const Accuracy& a, const Accuracy& b) {
  if (!has_interval(a) || !has_interval(b)) return Verdict::unknown;
  return a.low > b.high ? Verdict::above : a.high < b.low ? Verdict::below : Verdict::overlaps;
}

const TableRow* find_baseline(const Results& results) {
  for (const TableRow& row : results.table)
    if (row.method == "baseline") return &row;
  return results.table.empty() ? nullptr : &results.table.front();
}

std::string intervals_text(const Results& results) {
  std::set<std::string> kinds;
  for (const TableRow& row : results.table)
    if (!row.top1.interval.empty()) kinds.insert(row.top1.interval);
  return join({kinds.begin(), kinds.end()});
}

std::string unsteady_text(const Results& results) {
  if (!(results.unsteady_figures > 0)) return "";
  return fmt::format(
      "A busy machine disturbed {:.0f} of the latencies here, which are marked unsteady or named "
      "in "
      "the notes: measure again when nothing else runs.",
      results.unsteady_figures);
}

std::string accuracy_finding(const Results& results, double (*cost)(const TableRow&),
                             const std::string& cost_name) {
  const TableRow* baseline = find_baseline(results);
  if (!baseline || results.table.size() < 2) return "One method alone: nothing to compare.";
  if (!has_interval(baseline->top1))
    return "The baseline has no interval: no difference can be claimed.";
  std::vector<std::string> above, below, unmeasured;
  for (const TableRow& row : results.table) {
    if (&row == baseline) continue;
    const Verdict verdict = compare(row.top1, baseline->top1);
    if (verdict == Verdict::unknown) unmeasured.push_back(row.method);
    if (verdict != Verdict::above && verdict != Verdict::below) continue;
    const double factor = cost(row) / cost(*baseline);
    const auto text =
        fmt::format("{} ({}{})", row.method, points_text(row.top1.mean - baseline->top1.mean),
                    known(factor) ? " at " + format_factor(factor) + " the " + cost_name : "");
    (verdict == Verdict::above ? above : below).push_back(text);
  }
  std::string text =
      !above.empty()   ? "Above the baseline beyond the intervals: " + join(above) + "."
      : !below.empty() ? "No method beats the baseline beyond its interval."
                       : "No method beats the baseline beyond its interval: no difference can be "
                         "claimed.";
  if (!below.empty()) text += " Below it: " + join(below) + ".";
  if (!unmeasured.empty()) text += " Without an interval: " + join(unmeasured) + ".";
  return text + order_of_best(results, baseline);
}

std::string sweep_finding(const std::vector<Sweep>& sweeps) {
  std::vector<std::string> raised, held, lowered;
  std::string costs;
  for (const Sweep& sweep : sweeps) {
    std::vector<UtilizationPoint> points;
    for (const UtilizationPoint& p : sweep.points)
      if (known(p.macs) && p.macs > 0 && known(p.ms) && p.ms > 0) points.push_back(p);
    const auto by_macs = [](auto& a, auto& b) { return a.macs < b.macs; };
    std::stable_sort(points.begin(), points.end(), by_macs);
    if (points.size() < 2 || points.back().macs <= points.front().macs) continue;
    const double work = points.back().macs / points.front().macs;
    const double time = points.back().ms / points.front().ms;
    const double gain = work / time;
    const auto text =
        fmt::format("{} ({:+.0f} %)", sweep.dimension, std::round(100 * (gain - 1)) + 0.0);
    (gain > 1 + noticeable ? raised : gain < 1 - noticeable ? lowered : held).push_back(text);
    if (sweep.dimension != "width") continue;
    costs = fmt::format(" Width {}: {} the operations take {} the time.",
                        gain > 1 + noticeable   ? "is partly free"
                        : gain < 1 - noticeable ? "costs what it adds and more"
                                                : "costs what it adds",
                        format_factor(work), format_factor(time));
  }
  std::vector<std::string> parts;
  if (!raised.empty()) parts.push_back(join(raised) + " raised utilization");
  if (!held.empty()) parts.push_back(join(held) + " left it within 5 %");
  if (!lowered.empty()) parts.push_back(join(lowered) + " lowered it");
  if (parts.empty()) return "Fewer than two networks a dimension: nothing to compare.";
  return fmt::format("From the smallest to the largest network on this machine, {}{}.{}",
                     raised.empty() ? "no dimension raised utilization: " : "",
                     fmt::join(parts, "; "), costs);
}

std::string importance_finding(const Results& results) {
  double low = unknown, high = unknown;
  std::vector<std::string> rising, poor;
  for (const auto& [points, layer] : results.importance) {
    low = std::fmin(low, layer.r2);
    high = std::fmax(high, layer.r2);
    if (layer.r2 < 0.5) poor.push_back(layer.layer);
    if (layer.b >= 0) rising.push_back(layer.layer);
  }
  if (!known(low)) return "No law was fitted.";
  std::string text = fmt::format("R² from {:.2f} to {:.2f}.", low, high);
  text += rising.empty()
              ? " Importance falls with width in every layer (b < 0), as Algorithm 1 needs."
              : fmt::format(" Importance does not fall with width (b >= 0) in {}.", join(rising));
  if (!poor.empty()) text += fmt::format(" The law explains less than half in {}.", join(poor));
  return text;
}

std::string alpha_finding(const Results& results) {
  const AlphaCurve& curve = results.alpha;
  if (!known(curve.best)) return "No alpha was chosen.";
  const AlphaPoint* chosen = nullptr;
  for (const AlphaPoint& p : curve.points)
    if (p.feasible && known(p.alpha) &&
        (!chosen || std::fabs(p.alpha - curve.best) < std::fabs(chosen->alpha - curve.best)))
      chosen = &p;
  if (!chosen) return "No point was feasible.";
  int others = 0, overlapping = 0;
  for (const AlphaPoint& p : curve.points) {
    if (!p.feasible || &p == chosen) continue;
    ++others;
    overlapping += compare(p.top1, chosen->top1) != Verdict::below;
  }
  const Accuracy& top1 = chosen->top1;
  const auto interval = has_interval(top1) ? fmt::format(", {} to {}", format_percent(top1.low),
                                                         format_percent(top1.high))
                                           : "";
  std::string text = fmt::format(
      "Chosen: alpha {} ({} px, {} top-1{}). {}.", format_number(curve.best),
      format_whole(chosen->resolution), format_percent(top1.mean), interval,
      others == 0        ? "It is the only feasible point"
      : overlapping == 0 ? "It stays clear of every other feasible point"
                         : fmt::format("{} of the {} other feasible points cannot be told from it",
                                       overlapping, others));
  if (curve.parabola) {
    const double peak = -(*curve.parabola)[1] / (2 * (*curve.parabola)[2]);
    if (known(peak))
      text += fmt::format(" The parabola through the best three points peaks at alpha {}.",
                          format_number(peak));
  }
  return text;
}

std::string widths_finding(const Results& results) {
  std::vector<std::string> sentences;
  for (const ReportedPlan& plan : results.plans) {
    const LayerWidths* most = nullptr;
    int widened = 0;
    const auto growth = [](const LayerWidths& l) { return l.after / l.before; };
    for (const LayerWidths& layer : plan.layers) {
      if (!(layer.after > layer.before) || !(layer.before > 0)) continue;
      ++widened;
      if (!most || growth(layer) > growth(*most)) most = &layer;
    }
    sentences.push_back(fmt::format(
        "{}: {} of {} layers widen{}.", plan.name, widened, plan.layers.size(),
        most ? fmt::format(", {} most ({})", most->name, format_factor(growth(*most))) : ""));
  }
  return fmt::format("{}", fmt::join(sentences, " "));
}

std::string steps_finding(const Results& results) {
  std::vector<std::string> sentences;
  for (const ReportedPlan& plan : results.plans) {
    if (plan.steps.empty()) continue;
    const PlanStep& last = plan.steps.back();
    std::vector<std::string> used;
    const auto add = [&](double part, double budget, const char* what) {
      if (!known(budget) || !known(part / budget)) return;
      used.push_back(fmt::format("{:.0f} % of the {}", 100 * part / budget, what));
    };
    add(last.latency_ms, results.budget.latency_ms, "latency");
    add(last.params, results.budget.params, "parameters");
    sentences.push_back(fmt::format("{}: {} steps{}{}.", plan.name, plan.steps.size(),
                                    used.empty() ? "" : ", ends at " + join(used),
                                    plan.stop.empty() ? "" : ", stopped by " + plan.stop));
  }
  return fmt::format("{}", fmt::join(sentences, " "));
}

std::string gap_finding(const Results& results) {
  std::vector<std::string> sentences;
  for (const ReportedPlan& plan : results.plans) {
    if (!plan.optimality || !known(plan.optimality->gap())) continue;
    sentences.push_back(fmt::format("{}: {} below {}.", plan.name,
                                    format_percent(plan.optimality->gap()),
                                    plan.optimality->proven ? "the optimum" : "the bound"));
  }
  return fmt::format("{}", fmt::join(sentences, " "));
}

std::string latency_model_finding(const Results& results) {
  std::vector<std::string> sentences;
  for (const LatencyFit& model : results.latency_models)
    sentences.push_back(fmt::format("{}: median error {}, worst {} over {} networks, R² {}.",
                                    model.name, format_percent(model.median_error),
                                    format_percent(model.max_error), format_whole(model.networks),
                                    format_number(model.r2)));
  return fmt::format("{}", fmt::join(sentences, " "));
}

}  // namespace hac::report
