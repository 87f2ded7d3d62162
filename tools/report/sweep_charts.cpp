#include "tools/report/sweep_charts.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/report/figure_parts.h"
#include "tools/report/findings.h"

namespace hac::report {
namespace {

// "x1.5", "48 px" or "x1.5, 48 px": what differs from the baseline.
std::string label_of(const SweepRow& row) {
  if (row.dimension == "baseline") return "baseline";
  if (row.dimension == "width") return fmt::format("x{:g}", row.width);
  if (row.dimension == "depth") return fmt::format("{} units", row.units);
  if (row.dimension == "resolution") return fmt::format("{} px", row.resolution);
  return fmt::format("x{:g}, {} units, {} px", row.width, row.units, row.resolution);
}

Mark mark_of(const SweepRow& row, const Unit& unit, bool latency) {
  Mark mark{.x = static_cast<double>(row.macs) * unit.factor,
            .y = latency ? row.ms : row.gmacs_per_s,
            .label = label_of(row)};
  if (latency) mark.low = row.low_ms, mark.high = row.high_ms;
  mark.tip =
      fmt::format("{}: {} ms, {} GMAC/s, {} MACs, {} parameters", mark.label, format_number(row.ms),
                  format_number(row.gmacs_per_s), format_count(static_cast<double>(row.macs)),
                  format_count(static_cast<double>(row.params)));
  return mark;
}

Chart sweep_chart(std::span<const SweepRow> rows, const std::string& on, bool latency) {
  double largest = 0;
  for (const SweepRow& row : rows) largest = std::max(largest, static_cast<double>(row.macs));
  const Unit unit = unit_for(largest);
  const std::string what = latency ? "latency, batch 1 (ms)" : "utilization (GMAC/s)";
  Chart chart{
      .title = fmt::format("{} against operations, {}", what, on),
      .x = {.label = fmt::format("operations ({}MAC), {}", unit.prefix, on), .from_zero = true},
      .y = {.label = what, .from_zero = true},
      .width = 640,
      .height = 420};
  int colour = 1;
  for (const char* dimension : {"width", "depth", "resolution", "grid"}) {
    Series series{.name = dimension, .colour = colour++, .line = dimension != std::string("grid")};
    for (const SweepRow& row : rows) {
      if (row.dimension == dimension) series.marks.push_back(mark_of(row, unit, latency));
    }
    if (series.marks.empty()) continue;
    for (const SweepRow& row : rows) {
      if (row.dimension == "baseline") series.marks.push_back(mark_of(row, unit, latency));
    }
    std::ranges::stable_sort(series.marks, {}, &Mark::x);
    chart.series.push_back(std::move(series));
  }
  return chart;
}

}  // namespace

Chart sweep_latency_chart(std::span<const SweepRow> rows, const std::string& on) {
  return sweep_chart(rows, on, true);
}

Chart sweep_utilization_chart(std::span<const SweepRow> rows, const std::string& on) {
  return sweep_chart(rows, on, false);
}

Chart staircase_chart(const LayerStaircase& found, const std::string& on) {
  const std::string where = on.empty() ? "" : ", " + on;
  Chart chart{
      .title = fmt::format("Time of {} against its width{}", found.layer, where),
      .x = {.label = "width (channels)" + where},
      .y = {.label = fmt::format("time of {} (ms)", shorten(found.layer, 150, Chart{}.font)),
            .from_zero = true},
      .width = 640,
      .height = 420};
  const bool modelled = found.points.empty() || found.points[0].high_ms == 0;
  Series times{.name = modelled ? "modelled time" : "median, least and most of the faster rounds",
               .colour = 1,
               .line = true};
  const std::vector<std::int64_t> edges = step_edges(found);
  for (const WidthTime& p : found.points) {
    const bool bars = p.high_ms > 0;
    const std::string width = fmt::format("{}", p.width);
    times.marks.push_back({.x = static_cast<double>(p.width),
                           .y = p.ms,
                           .low = bars ? p.low_ms : unknown,
                           .high = bars ? p.high_ms : unknown,
                           .label = std::ranges::count(edges, p.width) ? width : "",
                           .tip = width + " channels"});
  }
  chart.series.push_back(std::move(times));
  for (const std::int64_t edge : edges) {
    const bool first = chart.guides.empty();
    chart.guides.push_back(
        {.name = first ? "right-hand edges of the steps" : "", .x = static_cast<double>(edge)});
  }
  return chart;
}

Figure staircase_figure(const Results& r) {
  Figure figure{.id = "staircase",
                .title = "Time of a layer against its width",
                .finding = "This run has no times of a layer at many widths."};
  if (!r.staircase) return figure;
  const bool modelled = !r.modelled.empty();
  const auto& [own, found] = *r.staircase;
  Chart chart = staircase_chart(found, modelled ? "modelled: " + modelled_device(r.modelled) : "");
  chart.width = Chart{}.width;
  chart.height = Chart{}.height;
  if (!add_panel(figure, chart)) return figure;
  figure.title = fmt::format("Time of {} against its width", found.layer);
  figure.see = fmt::format(
      "The layer of the baseline ({} channels) {}. Channels up to the end of a flat part cost no "
      "time. {}.",
      own,
      r.importance.empty() ? "with the most operations"
                           : "that the laws find most important, of those that can widen alone",
      modelled ? "Time is " + modelled_text(r)
               : "The time is that inside runs of the whole network");
  figure.finding = free_channels(found, own) + ".";
  return figure;
}

}  // namespace hac::report
