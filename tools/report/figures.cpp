#include "tools/report/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "engine/io/file.h"
#include "tools/report/chart_files.h"
#include "tools/report/figure_parts.h"
#include "tools/report/findings.h"

namespace hac::report {
namespace {

// `error`: of y, as a fraction of it.
Mark sweep_mark(const UtilizationPoint& p, const Unit& unit, double y, double error,
                const std::string& name, const std::string& what) {
  const double least = 1 - std::min(error, 1.0);
  return {.x = p.macs * unit.factor,
          .y = y,
          .low = y * least,
          .high = y * (1 + error),
          .label = p.label,
          .tip = fmt::format("{}: {}{} {}, {} MACs, {} parameters", name, format_number(y),
                             known(error) ? fmt::format(" ± {}", format_percent(error)) : "", what,
                             format_count(p.macs), format_count(p.params))};
}

Figure sweep_figure(const Results& r, const std::vector<Sweep>& sweeps, const std::string& id,
                    const std::string& network) {
  Figure figure{.id = id,
                .title = "Latency and utilization against operations" +
                         (network.empty() ? "" : ", " + network),
                .finding = "This run has no sweep over width, depth and resolution.",
                .wide = true};
  double largest = 0;
  for (const Sweep& sweep : sweeps)
    for (const UtilizationPoint& p : sweep.points) largest = std::fmax(largest, p.macs);
  const Unit unit = unit_for(largest);
  bool intervals = false;
  const auto draw = [&](const std::string& name, const std::string& device,
                        const std::string& label, auto value) {
    Chart chart{.title = fmt::format("{} of width, depth and resolution sweeps", label),
                .x = {.label = fmt::format("operations ({}MAC){}", unit.prefix,
                                           device.empty() ? "" : ", modelled: " + device),
                      .from_zero = true},
                .y = {.label = label, .from_zero = true}};
    int colour = 1;
    for (const Sweep& sweep : sweeps) {
      Series series{.name = sweep.dimension, .colour = colour++, .line = true};
      for (const UtilizationPoint& p : sweep.points) {
        const double error = device.empty() ? p.error : unknown;
        series.marks.push_back(sweep_mark(p, unit, std::invoke(value, p), error,
                                          fmt::format("{} {}", sweep.dimension, p.label), label));
        intervals = intervals || known(error);
      }
      std::stable_sort(series.marks.begin(), series.marks.end(),
                       [](auto& a, auto& b) { return known(a.x) && (!known(b.x) || a.x < b.x); });
      chart.series.push_back(std::move(series));
    }
    add_panel(figure, chart, name);
  };
  const std::string device = r.modelled.empty() ? "" : modelled_device(r.modelled);
  const std::string other = modelled_device(r.sweep_model);
  const std::string what = !device.empty() ? "modelled " : other.empty() ? "" : "measured ";
  draw("utilization", device, what + "utilization (GMAC/s)", &UtilizationPoint::gmacs_per_s);
  draw("latency", device, what + "latency, batch 1 (ms)", &UtilizationPoint::ms);
  if (!other.empty() && r.sweep_model != r.modelled) {
    draw("utilization-modelled", other, "modelled utilization (GMAC/s)",
         &UtilizationPoint::modelled_gmacs_per_s);
    draw("latency-modelled", other, "modelled latency, batch 1 (ms)",
         &UtilizationPoint::modelled_ms);
  }
  if (figure.panels.empty()) return figure;
  figure.see =
      "Utilization: higher means that the machine is used better. Latency: flatter means that "
      "operations are added more cheaply. Changes below 5 % are not counted.";
  if (intervals) {
    figure.see +=
        " Error bars: 95 % of the median of the runs; where none is seen, it is within its mark.";
  }
  if (!device.empty()) figure.see += " Latency is " + modelled_text(r) + ".";
  if (figure.panels.size() > 2) {
    figure.see += fmt::format(
        " Below, the same networks as a model of {} has them: computed from "
        "its data sheet, not measured.",
        other);
  }
  figure.finding = sweep_finding(sweeps);
  return figure;
}

// What can be fitted of a layer's points.
LayerSamples samples_of(const LayerLaw& layer) {
  LayerSamples samples{.layer = layer.law.layer, .samples = {}};
  for (const auto& [width, importance] : layer.points) {
    if (width >= 1 && known(width) && importance >= 0 && known(importance)) {
      samples.samples.push_back({.width = width, .importance = importance});
    }
  }
  return samples;
}

// What a law fitted without a width says of it.
Series held_out_series(const LayerLaw& layer) {
  Series predicted{.name = "", .colour = 2};
  std::set<double> widths;
  for (const HeldOutPrediction& p : leave_one_width_out(samples_of(layer))) {
    if (!widths.insert(p.width).second) continue;  // one prediction for all samples of a width
    predicted.marks.push_back(
        {.x = p.width,
         .y = p.predicted,
         .tip = fmt::format("{}: C = {}, predicted from the other widths {}", layer.law.layer,
                            format_whole(p.width), format_number(p.predicted)),
         .hollow = true});
  }
  return predicted;
}

Panel importance_panel(const LayerLaw& layer, const std::vector<double>& all_x,
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
  chart.series = {fit, held_out_series(layer), measured};
  const auto fitted =
      fmt::format("{} · R² {} · residuals up to {}",
                  known(law.a) && known(law.b)
                      ? fmt::format("{} C^{}", format_number(law.a), format_number(law.b))
                      : "no fit",
                  format_number(law.r2), format_percent(worst));
  const auto warning =
      law.warning.empty() ? "" : "<p class=\"panel\">⚠ " + escape(law.warning) + "</p>";
  return {.chart = chart,
          .name = law.layer,
          .above = fmt::format("<p class=\"panel\"><b>{}</b><br>{}</p>", escape(law.layer), fitted),
          .below = warning};
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
      "line, and the heights that Algorithm 1 compares can be compared. Open markers: what a law "
      "fitted without this width predicts for it.";
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

// Letters and digits of a name, a hyphen for the rest.
std::string slug(const std::string& name) {
  std::string text;
  for (const char c : name.substr(0, 40)) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (plain) text += c;
    if (!plain && !text.empty() && text.back() != '-') text += '-';
  }
  while (text.ends_with('-')) text.pop_back();
  return text;
}

}  // namespace

void name_files(Figure& figure) {
  std::set<std::string> taken;
  for (std::size_t i = 0; i < figure.panels.size(); ++i) {
    Panel& panel = figure.panels[i];
    panel.file = figure.id;
    if (figure.panels.size() > 1) panel.file += "-" + slug(panel.name);
    if (!taken.insert(panel.file).second) panel.file += fmt::format("-{}", i + 1);
  }
}

std::vector<Figure> make_figures(const Results& r) {
  std::vector<Figure> figures{accuracy_figure(r, true), accuracy_figure(r, false),
                              sweep_figure(r, r.sweeps, "utilization", r.baseline)};
  for (const NetworkSweeps& other : r.other_sweeps) {
    const std::string id = fmt::format("utilization-{}", figures.size() - 1);
    figures.push_back(sweep_figure(r, other.sweeps, id, other.network));
  }
  for (const auto figure :
       {device_figure, importance_figure, alpha_figure, latency_model_figure, widths_figure,
        steps_figure, gap_figure, roofline_figure, staircase_figure}) {
    figures.push_back(figure(r));
  }
  for (Figure& figure : figures) name_files(figure);
  return figures;
}

namespace {

std::string drawing_of(const Chart& chart) { return render_chart(chart); }
std::string drawing_of(const BarChart& chart) { return render_bars(chart); }
std::string drawing_of(const HeatMap& map) { return render_heatmap(map); }
std::string drawing_of(const Listing& listing) { return listing.html; }
std::string chart_csv(const Listing& listing) { return listing.csv; }
std::string chart_json(const Listing& listing) { return listing.json; }

}  // namespace

std::string drawing_of(const Panel& panel) {
  return std::visit([](const auto& chart) { return drawing_of(chart); }, panel.chart);
}

void write_data(const std::string& folder, const std::vector<Figure>& figures) {
  make_folder(folder + "/data");
  for (const Figure& figure : figures) {
    for (const Panel& panel : figure.panels) {
      const std::string file = folder + "/data/" + panel.file;
      if (is_drawing(panel)) {
        write_file_atomically(file + ".svg", standalone_svg(drawing_of(panel)));
      }
      const auto write = [&](const auto& chart) {
        write_file_atomically(file + ".csv", chart_csv(chart));
        write_file_atomically(file + ".json", chart_json(chart));
      };
      std::visit(write, panel.chart);
    }
  }
}

}  // namespace hac::report
