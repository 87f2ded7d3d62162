#include "tools/report/figures.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/report/figure_parts.h"
#include "tools/report/findings.h"

namespace hac::report {
namespace {

// Methods that no other method beats both in accuracy and in cost (by the means).
Series pareto_front(const std::vector<Series>& methods) {
  std::vector<Mark> marks;
  for (const Series& series : methods)
    for (const Mark& mark : series.marks)
      if (known(mark.x) && known(mark.y)) marks.push_back({.x = mark.x, .y = mark.y});
  std::stable_sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) {
    return a.x < b.x || (a.x == b.x && a.y > b.y);
  });
  Series front{.name = "Pareto front of the means", .colour = 7, .line = true, .markers = false};
  for (const Mark& mark : marks)
    if (front.marks.empty() || mark.y > front.marks.back().y) front.marks.push_back(mark);
  return front;
}

double measured_median(const TableRow& row) { return row.measured.ms.median; }
double parameters(const TableRow& row) { return row.params; }

Figure accuracy_figure(const Results& r, bool latency) {
  Figure figure{.id = latency ? "accuracy-latency" : "accuracy-parameters",
                .title = latency ? "Accuracy against latency" : "Accuracy against parameters",
                .finding = r.table.empty()
                               ? "This run has no result table."
                               : "No method has both an accuracy and this cost measured."};
  const auto cost = latency ? measured_median : parameters;
  double largest = 0;
  for (const TableRow& row : r.table) largest = std::fmax(largest, row.params);
  const Unit unit = latency ? Unit{} : unit_for(largest);
  Chart chart{.title = figure.title + " of the scaling methods",
              .x = {.label = latency ? "measured latency, batch 1 (ms)"
                                     : fmt::format("parameters ({})",
                                                   unit.prefix.empty() ? "count" : unit.prefix)},
              .y = {.label = "top-1 accuracy (%)"}};
  for (const TableRow& row : r.table) {
    const auto tip = fmt::format("{}: {} ms, {} parameters, {}", row.method,
                                 format_number(row.measured.ms.median), format_count(row.params),
                                 accuracy_text(row.top1));
    chart.series.push_back({.name = row.method,
                            .colour = method_colour(r, row.method),
                            .marks = {accuracy_mark(cost(row) * unit.factor, row.top1, tip)}});
  }
  const Series front = pareto_front(chart.series);
  if (front.marks.size() > 1) chart.series.push_back(front);
  if (!add_panel(figure, chart)) return figure;
  const auto kinds = intervals_text(r);
  figure.see =
      fmt::format("Up and to the left is better.{}", kinds.empty() ? "" : " Bars: " + kinds + ".");
  if (!r.table_accuracy.empty()) figure.see += " Accuracy: " + r.table_accuracy + ".";
  figure.finding = accuracy_finding(r, cost, latency ? "latency" : "parameters");
  return figure;
}

Figure sweep_figure(const Results& r) {
  Figure figure{.id = "utilization",
                .title = "Latency and utilization against operations",
                .finding = "This run has no sweep over width, depth and resolution.",
                .wide = true};
  double largest = 0;
  for (const Sweep& sweep : r.sweeps)
    for (const UtilizationPoint& p : sweep.points) largest = std::fmax(largest, p.macs);
  const Unit unit = unit_for(largest);
  const auto draw = [&](const std::string& title, const std::string& label,
                        double UtilizationPoint::*value) {
    Chart chart{.title = title + " of width, depth and resolution sweeps",
                .x = {.label = fmt::format("operations ({}MAC)", unit.prefix), .from_zero = true},
                .y = {.label = label, .from_zero = true}};
    int colour = 1;
    for (const Sweep& sweep : r.sweeps) {
      Series series{.name = sweep.dimension, .colour = colour++, .line = true};
      for (const UtilizationPoint& p : sweep.points)
        series.marks.push_back(
            {.x = p.macs * unit.factor,
             .y = p.*value,
             .label = p.label,
             .tip = fmt::format("{} {}: {} ms, {} GMAC/s, {} MACs, {} parameters", sweep.dimension,
                                p.label, format_number(p.ms), format_number(p.gmacs_per_s),
                                format_count(p.macs), format_count(p.params))});
      std::stable_sort(series.marks.begin(), series.marks.end(),
                       [](auto& a, auto& b) { return known(a.x) && (!known(b.x) || a.x < b.x); });
      chart.series.push_back(std::move(series));
    }
    add_panel(figure, chart);
  };
  draw("Utilization", "utilization (GMAC/s)", &UtilizationPoint::gmacs_per_s);
  draw("Latency", "latency, batch 1 (ms)", &UtilizationPoint::ms);
  if (figure.panels.empty()) return figure;
  figure.see =
      "Utilization: higher means that the machine is used better. Latency: flatter means that "
      "operations are added more cheaply. Changes below 5 % are not counted.";
  figure.finding = sweep_finding(r);
  return figure;
}

std::string importance_panel(const LayerLaw& layer, const std::vector<double>& all_x,
                             const std::vector<double>& all_y) {
  const ImportanceLaw& law = layer.law;
  Chart chart{.title = "Importance of " + law.layer + " against its width",
              .x = {.label = "width C", .log = true},
              .y = {.label = "importance I", .log = true},
              .include_x = all_x,
              .include_y = all_y,
              .width = 250,
              .height = 210,
              .font = 12,
              .marker = 3.2};
  Series fit{.colour = 2, .line = true, .markers = false, .sets_range = false};
  const Scale range = fit_scale(all_x, chart.x);
  for (int i = 0; i <= 40; ++i) {
    const double c = range.lo * std::pow(range.hi / range.lo, i / 40.0);
    fit.marks.push_back({.x = c, .y = law(c)});
  }
  Series measured{.colour = 1};
  double worst = unknown;  // largest residual, of what was measured
  for (const auto& [c, importance] : layer.points) {
    const double residual = importance - law(c);
    const double relative = std::fabs(residual / importance);
    if (known(relative)) worst = std::fmax(worst, relative);
    measured.marks.push_back(
        {.x = c,
         .y = importance,
         .tip = fmt::format("{}: C = {}, I = {}, residual {}", law.layer, format_whole(c),
                            format_number(importance), format_number(residual))});
  }
  chart.series = {fit, measured};
  const auto fitted =
      fmt::format("{} · R² {} · residuals up to {}",
                  known(law.a) && known(law.b)
                      ? fmt::format("{} C^{}", format_number(law.a), format_number(law.b))
                      : "no fit",
                  format_number(law.r2), format_percent(worst));
  const auto warning =
      law.warning.empty() ? "" : "<p class=\"panel\">⚠ " + escape(law.warning) + "</p>";
  return fmt::format("<p class=\"panel\"><b>{}</b><br>{}</p>{}{}", escape(law.layer), fitted,
                     render_chart(chart), warning);
}

Figure importance_figure(const Results& r) {
  Figure figure{.id = "importance",
                .title = "Importance against width, layer by layer",
                .finding = "This run has no importance samples.",
                .small_panels = true,
                .wide = true};
  if (r.importance.empty()) return figure;
  std::vector<double> xs, ys;
  for (const LayerLaw& layer : r.importance)
    for (const auto& [c, importance] : layer.points) {
      xs.push_back(c);
      ys.push_back(importance);
    }
  for (const LayerLaw& layer : r.importance)
    figure.panels.push_back(importance_panel(layer, xs, ys));
  figure.see =
      "Both axes are logarithmic and the same in every panel: a power law is a straight "
      "line, and the heights that Algorithm 1 compares can be compared.";
  figure.finding = importance_finding(r);
  return figure;
}

Figure latency_model_figure(const Results& r) {
  Figure figure{.id = "latency-models",
                .title = "Predicted against measured latency",
                .finding = "This run has no check of a latency model."};
  Chart chart{.title = figure.title,
              .x = {.label = "predicted (ms)"},
              .y = {.label = "measured (ms)"},
              .guides = {{.name = "exact", .diagonal = true}}};
  int colour = 1;
  for (const LatencyFit& model : r.latency_models) {
    Series series{.name = model.name, .colour = colour++};
    for (const auto& [predicted, measured] : model.points)
      series.marks.push_back(
          {.x = predicted,
           .y = measured,
           .tip = fmt::format("{}: predicted {} ms, measured {} ms", model.name,
                              format_number(predicted), format_number(measured))});
    chart.series.push_back(std::move(series));
  }
  if (!add_panel(figure, chart)) return figure;
  figure.see =
      "Networks that the model was not fitted on; points above the line run slower than "
      "predicted.";
  figure.finding = latency_model_finding(r);
  return figure;
}

}  // namespace

std::vector<Figure> make_figures(const Results& r) {
  return {
      accuracy_figure(r, true), accuracy_figure(r, false), sweep_figure(r),  importance_figure(r),
      alpha_figure(r),          latency_model_figure(r),   widths_figure(r), steps_figure(r)};
}

}  // namespace hac::report
