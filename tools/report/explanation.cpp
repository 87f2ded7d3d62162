#include "tools/report/explanation.h"

#include <fmt/format.h>

#include <cmath>

#include "tools/report/chart.h"
#include "tools/report/html.h"
#include "tools/report/text.h"

namespace hac::report {
namespace {

std::string tip_of(const std::string& method, const Resized& r) {
  return fmt::format("{} {}: MACs {}, parameters {}, time {}", method, format_factor(r.factor),
                     format_factor(r.macs), format_factor(r.params), format_factor(r.latency));
}

// Work against time, both as factors of the network's own.
Chart growth_chart(const DeviceExplanation& d) {
  Chart chart{.title = "What more time buys on " + d.device,
              .x = {.label = d.modelled ? "modelled latency, factor" : "predicted latency, factor",
                    .log = true},
              .y = {.label = "MACs, factor", .log = true},
              .guides = {{.name = "as much time as work", .diagonal = true}}};
  int colour = 1;
  for (const DimensionExplanation& dimension : d.dimensions) {
    Series series{.name = dimension.method, .colour = colour++, .line = true};
    series.marks.push_back({.x = 1, .y = 1, .tip = "the network itself"});
    for (const Purchase& p : dimension.bought) {
      if (p.largest.factor == 1) continue;
      series.marks.push_back({.x = p.largest.latency,
                              .y = p.largest.macs,
                              .tip = tip_of(dimension.method, p.largest)});
    }
    if (series.marks.size() == 1) {
      const Resized& r = dimension.smallest;
      series.marks.push_back({.x = r.latency, .y = r.macs, .tip = tip_of(dimension.method, r)});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

BarChart layers_chart(const DeviceExplanation& d) {
  BarChart chart{.title = "Layers on " + d.device,
                 .axis_label = "share (%)",
                 .before = "of the MACs",
                 .after = "of the time",
                 .between = " · "};
  const auto percent = [](double share) { return std::round(1000 * share) / 10; };
  for (const LayerTime& layer : d.layers) {
    const std::string bound = layer.bound.empty() ? "" : ", bound by " + layer.bound;
    chart.rows.push_back(
        {.name = layer.name,
         .before = percent(layer.macs_share),
         .after = percent(layer.time_share),
         .tip = fmt::format("{}: {} of the MACs, {} of the time ({} ms){}", layer.name,
                            format_percent(layer.macs_share), format_percent(layer.time_share),
                            format_number(layer.ms), bound)});
  }
  return chart;
}

Figure figure_of(const DeviceExplanation& d, std::size_t index) {
  Figure figure{
      .id = fmt::format("explanation-{}", index),
      .title = fmt::format("{}: {} ms", d.device, format_number(d.latency_ms)),
      .panels = {{growth_chart(d), "growth", "", ""}, {layers_chart(d), "layers", "", ""}},
      .see =
          "Left: above the line, work grows faster than time. Right: a layer with a "
          "longer bar of time than of work costs more than it computes.",
      .finding = d.finding(),
      .wide = true};
  if (d.error) {
    figure.see += fmt::format(" The latency model is off by {} (median on networks left out).",
                              format_percent(*d.error));
  }
  return figure;
}

std::string cell(const std::string& label, const std::string& html) {
  return fmt::format("<td data-label=\"{}\"><span>{}</span></td>", label, html);
}

std::string table_of(const Explanation& e) {
  if (e.devices.empty()) return "";
  std::string html =
      "<div class=\"scroll\"><table class=\"results\"><thead><tr><th scope=\"col\">device</th>"
      "<th scope=\"col\">latency<small>ms</small></th>";
  for (const DimensionExplanation& dimension : e.devices[0].dimensions) {
    for (const Purchase& p : dimension.bought) {
      html += fmt::format("<th scope=\"col\">{}<small>in {}</small></th>", dimension.method,
                          format_factor(p.budget));
    }
  }
  html += "<th scope=\"col\">half the width<small>MACs, time</small></th></tr></thead>\n<tbody>\n";
  for (const DeviceExplanation& d : e.devices) {
    html += fmt::format("<tr><th scope=\"row\">{}</th>", escape(d.device)) +
            cell("latency (ms)", format_number(d.latency_ms));
    for (const DimensionExplanation& dimension : d.dimensions) {
      for (const Purchase& p : dimension.bought) {
        html += cell(fmt::format("{} in {}", dimension.method, format_factor(p.budget)),
                     fmt::format("{} MACs<small>{}</small>", format_factor(p.largest.macs),
                                 to_string(p.largest.freedom())));
      }
    }
    html += cell("half the width",
                 fmt::format("{} MACs<small>in {}</small>", format_factor(d.half_width.macs),
                             format_factor(d.half_width.latency))) +
            "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

}  // namespace

std::vector<Figure> explanation_figures(const Explanation& e) {
  std::vector<Figure> figures;
  for (const DeviceExplanation& d : e.devices) {
    name_files(figures.emplace_back(figure_of(d, figures.size())));
  }
  return figures;
}

std::string render_explanation(const Explanation& e) {
  std::string html = fmt::format(
      "<section>\n<h2>Why latency falls less than compute</h2>\n<p>{}: {} MACs, {} parameters, {} "
      "pixels. What latency limits, as factors, buy along one dimension alone; ",
      escape(e.network), format_count(static_cast<double>(e.macs)),
      format_count(static_cast<double>(e.params)), e.resolution);
  html +=
      "a dimension is free where time grows less than half as fast as MACs, partly free where MACs "
      "a second grow by more than a tenth. Times of devices that say (modelled) were computed from "
      "data sheets, not measured.</p>\n" +
      table_of(e) + "<div class=\"figures\">\n";
  for (const Figure& figure : explanation_figures(e)) html += render_figure(figure);
  return html + "</div>\n</section>\n";
}

std::string render_explanation_page(const Explanation& e) {
  return render_frame(
      e.network, fmt::format("<h1>HACScale: {}</h1>\n", escape(e.network)) + render_explanation(e));
}

}  // namespace hac::report
