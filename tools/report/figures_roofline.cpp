#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/report/figure_parts.h"
#include "tools/report/findings.h"

namespace hac::report {
namespace {

double fact(const Results& r, const char* key) {
  const auto it = r.machine.find(key);
  const auto* number = it == r.machine.end() ? nullptr : std::get_if<double>(&it->second);
  return number ? *number : unknown;
}

double intensity(const LayerRate& layer) { return layer.macs / layer.bytes; }
double rate(const LayerRate& layer) { return layer.macs / (layer.ms * 1e6); }
bool drawn(const LayerRate& layer) { return layer.macs > 0 && layer.bytes > 0 && layer.ms > 0; }

Series layers_of(const NetworkProfile& profile, int colour) {
  Series series{.name = profile.network, .colour = colour};
  for (const LayerRate& layer : profile.layers) {
    if (!drawn(layer)) continue;
    series.marks.push_back(
        {.x = intensity(layer),
         .y = rate(layer),
         .tip = fmt::format("{}, {}: {} MAC a byte, {} GMAC/s, {} ms", profile.network, layer.name,
                            format_number(intensity(layer)), format_number(rate(layer)),
                            format_number(layer.ms))});
  }
  return series;
}

// As far as the layers go: the bandwidth's slope up to the peak.
Series roof(const std::vector<Series>& series, double peak, double bandwidth) {
  double low = peak / bandwidth, high = low;
  for (const Series& s : series) {
    for (const Mark& mark : s.marks) {
      low = std::min(low, mark.x);
      high = std::max(high, mark.x);
    }
  }
  Series line{.name = "roof", .colour = 7, .line = true, .markers = false};
  for (const double x : {low, peak / bandwidth, high}) {
    line.marks.push_back({.x = x, .y = std::min(peak, bandwidth * x)});
  }
  return line;
}

std::string finding_of(const NetworkProfile& profile, double peak, double bandwidth) {
  std::vector<double> shares;
  double all = 0, idle = 0;
  for (const LayerRate& layer : profile.layers) {
    if (known(layer.ms)) all += layer.ms;
    if (!drawn(layer)) continue;
    shares.push_back(rate(layer) / std::min(peak, bandwidth * intensity(layer)));
    if (shares.back() < 0.5) idle += layer.ms;
  }
  if (shares.empty() || !(all > 0)) return "";
  return fmt::format(
      "{}: {} of the roof (median of {} layers), {} of its time in layers below half.",
      profile.network, format_percent(median(shares)), shares.size(), format_percent(idle / all));
}

}  // namespace

Figure roofline_figure(const Results& r) {
  Figure figure{.id = "roofline",
                .title = "Roofline, layer by layer",
                .finding = "This run has no times of single layers, or no peak and bandwidth."};
  const double peak = fact(r, "peak_gmacs"), bandwidth = fact(r, "bandwidth_gbs");
  if (r.profiles.empty() || !(peak > 0) || !(bandwidth > 0)) return figure;
  Chart chart{.title = figure.title,
              .x = {.label = "arithmetic intensity (MAC a byte)", .log = true},
              .y = {.label = "rate (GMAC/s)", .log = true}};
  std::string text;
  for (const NetworkProfile& profile : r.profiles) {
    chart.series.push_back(layers_of(profile, method_colour(r, profile.network)));
    const std::string sentence = finding_of(profile, peak, bandwidth);
    text += (text.empty() || sentence.empty() ? "" : " ") + sentence;
  }
  chart.series.push_back(roof(chart.series, peak, bandwidth));
  if (!add_panel(figure, chart)) return figure;
  figure.see =
      "Below the roof a layer leaves the device idle. Above it Winograd multiplies less than the "
      "network's MACs, or the weights come from the caches.";
  figure.finding = text;
  return figure;
}

}  // namespace hac::report
