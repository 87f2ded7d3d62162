// The figures of the search itself: alpha, the widths, the steps of Algorithm 1.

#include <fmt/format.h>

#include <algorithm>

#include "tools/report/figure_parts.h"
#include "tools/report/findings.h"

namespace hac::report {

namespace {

// Whose interval says which others cannot be told from it.
const AlphaPoint* chosen_point(const AlphaCurve& curve) {
  const auto chosen = [&](const AlphaPoint& p) { return p.feasible && p.alpha == curve.best; };
  const auto at = std::ranges::find_if(curve.points, chosen);
  return at == curve.points.end() ? nullptr : &*at;
}

}  // namespace

Figure alpha_figure(const Results& r) {
  const AlphaCurve& curve = r.alpha;
  const std::string note = curve.note.empty() ? "" : " " + curve.note;
  Figure figure{.id = "alpha",
                .title = "Splitting the budget between width and resolution",
                .finding = "This run has no search for alpha." + note};
  Chart chart{.title = "Proxy accuracy against alpha",
              .x = {.label = "alpha (0: all width, 1: all resolution)"},
              .y = {.label = "proxy top-1 accuracy (%)"}};
  Series feasible{.name = "feasible", .colour = 1}, over{.name = "over the budget", .colour = 1};
  double lo = unknown, hi = unknown;
  for (const AlphaPoint& p : curve.points) {
    const auto tip =
        fmt::format("alpha {}: {} px, width x{}, {} MACs, {} ms, {}", format_number(p.alpha),
                    format_whole(p.resolution), format_number(p.width), format_count(p.macs),
                    format_number(p.ms), accuracy_text(p.top1));
    Mark mark = accuracy_mark(p.alpha, p.top1, tip);
    mark.label = format_whole(p.resolution) + " px";
    mark.hollow = !p.feasible;
    (p.feasible ? feasible : over).marks.push_back(mark);
    lo = std::fmin(lo, p.alpha);
    hi = std::fmax(hi, p.alpha);
  }
  for (const Series& series : {feasible, over})
    if (!series.marks.empty()) chart.series.push_back(series);
  if (curve.parabola && hi > lo) {
    const auto& c = *curve.parabola;
    Series fit{.name = "parabola",
               .colour = 7,
               .line = true,
               .markers = false,
               .dashed = true,
               .sets_range = false};
    for (int i = 0; i <= 60; ++i) {
      const double a = lo + (hi - lo) * i / 60;
      fit.marks.push_back({.x = a, .y = 100 * (c[0] + a * (c[1] + a * c[2]))});
    }
    chart.series.push_back(fit);
  }
  if (known(curve.best))
    chart.guides.push_back({.name = "chosen alpha " + format_number(curve.best), .x = curve.best});
  if (const AlphaPoint* chosen = chosen_point(curve);
      chosen && known(chosen->top1.low) && known(chosen->top1.high)) {
    chart.bands.push_back({.name = "interval of the chosen point",
                           .low = 100 * chosen->top1.low,
                           .high = 100 * chosen->top1.high});
  }
  if (!add_panel(figure, chart)) return figure;
  if (known(curve.s))
    figure.see =
        fmt::format("Every point aims at {} the baseline's operations. ", format_factor(curve.s));
  figure.see +=
      "The labels are input resolutions; within the band a point cannot be told from "
      "the chosen one.";
  if (!r.alpha_accuracy.empty()) figure.see += " Accuracy: " + r.alpha_accuracy + ".";
  figure.finding = alpha_finding(r) + note;
  return figure;
}

Figure widths_figure(const Results& r) {
  Figure figure{.id = "widths",
                .title = "Widths before and after",
                .finding = "This run has no scaling plan.",
                .wide = true};
  double reach = 0;
  for (const ReportedPlan& plan : r.plans)
    for (const LayerWidths& layer : plan.layers)
      reach = std::fmax(reach, std::fmax(layer.before, layer.after));
  for (const ReportedPlan& plan : r.plans) {
    if (plan.layers.empty()) continue;
    BarChart chart{.title = "Widths before and after: " + plan.name,
                   .axis_label = "output channels",
                   .reach = reach};
    for (const LayerWidths& layer : plan.layers)
      chart.rows.push_back({layer.name, layer.before, layer.after,
                            layer.reason.empty() ? layer.name : layer.name + ": " + layer.reason});
    const auto settings =
        fmt::format("gain {}, policy {}, stride {}, {} px", or_dash(plan.gain),
                    or_dash(plan.policy), format_whole(plan.stride), format_whole(plan.resolution));
    figure.panels.push_back({.chart = chart,
                             .name = plan.name,
                             .above = fmt::format("<p class=\"panel\"><b>{}</b><br>{}</p>",
                                                  escape(plan.name), escape(settings)),
                             .below = ""});
  }
  if (figure.panels.empty()) return figure;
  figure.see =
      "What Algorithm 1 decided, on one scale for all plans; hover a layer for the reason.";
  figure.finding = widths_finding(r);
  return figure;
}

Figure steps_figure(const Results& r) {
  Figure figure{.id = "steps",
                .title = "The steps of Algorithm 1",
                .finding = "No plan of this run has a step.",
                .wide = true};
  double largest = known(r.budget.params) ? r.budget.params : 0;
  for (const ReportedPlan& plan : r.plans)
    for (const PlanStep& step : plan.steps) largest = std::fmax(largest, step.params);
  const Unit unit = unit_for(largest);
  const auto draw = [&](const char* name, const std::string& title, const std::string& label,
                        double PlanStep::*value, double factor, const Guide& budget) {
    Chart chart{.title = title, .x = {.label = "step"}, .y = {.label = label}};
    for (const ReportedPlan& plan : r.plans) {
      Series series{.name = plan.name,
                    .colour = method_colour(r, plan.name),
                    .line = true,
                    .markers = plan.steps.size() <= 40};
      for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        const PlanStep& s = plan.steps[i];
        series.marks.push_back(
            {.x = i + 1.0,
             .y = s.*value * factor,
             .tip = fmt::format("step {}: {} to {} channels, {} ms, {} parameters", i + 1, s.layer,
                                format_whole(s.width), format_number(s.latency_ms),
                                format_count(s.params))});
      }
      chart.series.push_back(std::move(series));
    }
    if (known(budget.y)) chart.guides = {budget};
    add_panel(figure, chart, name);
  };
  const Budget& b = r.budget;
  draw("latency", "Predicted latency along the steps", "predicted latency (ms)",
       &PlanStep::latency_ms, 1,
       {.name = "budget " + format_limit(format_number(b.latency_ms) + " ms", r.latency_text),
        .y = b.latency_ms});
  draw("parameters", "Parameters along the steps", fmt::format("parameters ({})", unit.prefix),
       &PlanStep::params, unit.factor,
       {.name = "budget " + format_limit(format_count(b.params), r.params_text),
        .y = b.params * unit.factor});
  if (figure.panels.empty()) return figure;
  figure.see = "Each step widens one layer by the stride; the dashed line is the budget.";
  figure.finding = steps_finding(r);
  return figure;
}

Figure gap_figure(const Results& r) {
  Figure figure{.id = "gap",
                .title = "The gap to the optimum",
                .finding = "No plan of this run has a gap to the optimum."};
  BarChart chart{.title = "Importance gained, of what no plan can exceed",
                 .axis_label = "importance gained (% of the bound)",
                 .before = "",
                 .after = ""};
  for (const ReportedPlan& plan : r.plans) {
    if (!plan.optimality || !(plan.optimality->bound > 0)) continue;
    const OptimalityGap& g = *plan.optimality;
    chart.rows.push_back({.name = plan.name,
                          .after = 100 * g.gain / g.bound,
                          .tip = fmt::format("{}: gain {}, best found {}, bound {}{}", plan.name,
                                             format_number(g.gain), format_number(g.optimum),
                                             format_number(g.bound), g.proven ? " (proven)" : "")});
  }
  if (chart.rows.empty()) return figure;
  figure.panels.push_back({.chart = chart, .name = "gap", .above = "", .below = ""});
  figure.see =
      "By the fitted laws and the latency model: the gain that each method's widths have, of the "
      "most that any widths within the same limits can have. 100 % is the optimum.";
  figure.finding = gap_finding(r);
  return figure;
}

}  // namespace hac::report
