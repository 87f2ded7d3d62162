// The figures of the methods: accuracy against what it costs, and how well each uses the device.

#include <fmt/format.h>

#include <algorithm>

#include "tools/report/figure_parts.h"
#include "tools/report/findings.h"

namespace hac::report {
namespace {

// From here on the points are numbered, as colours and markers repeat.
constexpr std::size_t many = 7;

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

double median_ms(const TableRow& row) { return row.measured.ms.median; }
double parameters(const TableRow& row) { return row.params; }
bool has_spread(const TableRow& row) { return row.measured.ms.p10 > 0; }

Chart accuracy_chart(const Results& r, bool latency) {
  double largest = 0;
  for (const TableRow& row : r.table) largest = std::fmax(largest, row.params);
  const Unit unit = latency ? Unit{} : unit_for(largest);
  Chart chart{.title = fmt::format("Accuracy against {} of the scaling methods",
                                   latency ? "latency" : "parameters"),
              .x = {.label = latency ? latency_label(r)
                                     : fmt::format("parameters ({})",
                                                   unit.prefix.empty() ? "count" : unit.prefix)},
              .y = {.label = "top-1 accuracy (%)"}};
  const std::vector<const TableRow*> rows = ordered_rows(r);
  const bool numbered = rows.size() > many;
  if (numbered) chart.height = 400;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const TableRow& row = *rows[i];
    const double x = latency ? median_ms(row) : parameters(row) * unit.factor;
    Mark mark = accuracy_mark(
        x, row.top1,
        fmt::format("{}: {} ms{}, {} parameters, {}{}", row.method, format_number(median_ms(row)),
                    row.measured.modelled ? " modelled" : "", format_count(row.params),
                    accuracy_text(row.top1), infeasible(row) ? ", not within the budget" : ""));
    if (latency && has_spread(row)) {
      mark.left = row.measured.ms.p10;
      mark.right = row.measured.ms.p90;
    }
    mark.hollow = infeasible(row);
    std::string name = row.method + (mark.hollow ? " (over budget)" : "");
    if (numbered) {
      mark.label = fmt::format("{}", i + 1);
      name = mark.label + " " + name;
    }
    chart.series.push_back({.name = name, .colour = method_colour(r, row.method), .marks = {mark}});
  }
  const Series front = pareto_front(chart.series);
  if (front.marks.size() > 1) chart.series.push_back(front);
  return chart;
}

struct DeviceBars {
  const char *name, *title, *axis;
  double (*value)(const TableRow&);
};

double utilization(const TableRow& row) { return row.gmacs_per_s; }

bool add_bars(Figure& figure, const Results& r, const DeviceBars& what, const std::string& above) {
  BarChart chart{.title = what.title, .axis_label = what.axis, .before = "", .after = ""};
  for (const TableRow* row : ordered_rows(r)) {
    const double value = what.value(*row);
    if (!known(value)) continue;
    chart.rows.push_back(
        {.name = row->method,
         .after = value,
         .tip = fmt::format("{}: {} {}", row->method, format_number(value), what.axis)});
  }
  if (chart.rows.empty()) return false;
  figure.panels.push_back(
      {.chart = chart,
       .name = what.name,
       .above = fmt::format("<p class=\"panel\"><b>{}</b><br>{}</p>", what.title, escape(above)),
       .below = ""});
  return true;
}

}  // namespace

Figure accuracy_figure(const Results& r, bool latency) {
  Figure figure{.id = latency ? "accuracy-latency" : "accuracy-parameters",
                .title = latency ? "Accuracy against latency" : "Accuracy against parameters",
                .finding = r.table.empty() ? "This run has no result table."
                                           : "No method has both an accuracy and this cost."};
  if (!add_panel(figure, accuracy_chart(r, latency))) return figure;
  const auto kinds = intervals_text(r);
  figure.see =
      fmt::format("Up and to the left is better.{}", kinds.empty() ? "" : " Bars: " + kinds + ".");
  if (latency && std::ranges::any_of(r.table, has_spread)) {
    figure.see += " Of latency: the 10th to the 90th percentile of the runs.";
  }
  if (latency && !r.modelled.empty()) figure.see += " Latency is " + modelled_text(r) + ".";
  if (!r.table_accuracy.empty()) figure.see += " Accuracy: " + r.table_accuracy + ".";
  if (r.table.size() > many) figure.see += " The numbers are in the order of the table.";
  figure.finding =
      accuracy_finding(r, latency ? median_ms : parameters, latency ? "latency" : "parameters");
  return figure;
}

Figure device_figure(const Results& r) {
  Figure figure{.id = "energy",
                .title = "Utilization and energy efficiency of the methods",
                .finding = "This run has no utilization and no energy of its methods.",
                .wide = true};
  const std::string where = r.modelled.empty() ? "measured" : modelled_text(r);
  add_bars(figure, r, {"utilization", "Utilization", "GMAC/s", utilization}, where);
  if (figure.panels.empty()) return figure;
  const TableRow* metered = nullptr;
  for (const TableRow& row : r.table)
    if (!metered && row.energy) metered = &row;
  if (metered) {
    const std::string meter =
        fmt::format("measured by {} ({})", metered->energy->meter, metered->energy->covers);
    add_bars(figure, r,
             {"efficiency", "Energy efficiency", "GMAC/J (GMAC/s per W)", gmacs_per_joule}, meter);
    add_bars(figure, r, {"per-image", "Energy per image", "mJ", millijoules}, meter);
  }
  figure.see = "Utilization and efficiency: longer is better; energy per image: shorter.";
  figure.finding = device_finding(r);
  return figure;
}

}  // namespace hac::report
