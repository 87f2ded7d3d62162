#include "tools/report/figure_parts.h"

#include <fmt/format.h>

#include <algorithm>

namespace hac::report {

Unit unit_for(double largest) {
  if (largest >= 1e9) return {1e-9, "G"};
  if (largest >= 1e6) return {1e-6, "M"};
  if (largest >= 1e3) return {1e-3, "k"};
  return {};
}

std::string accuracy_text(const Accuracy& top1) {
  std::string text = "top-1 " + format_percent(top1.mean);
  if (known(top1.low) && known(top1.high))
    text += fmt::format(" [{:.2f}, {:.2f}]", 100 * top1.low, 100 * top1.high);
  return text;
}

Mark accuracy_mark(double x, const Accuracy& top1, const std::string& tip) {
  return {.x = x, .y = 100 * top1.mean, .low = 100 * top1.low, .high = 100 * top1.high, .tip = tip};
}

bool add_panel(Figure& figure, const Chart& chart, const std::string& name) {
  const auto drawn = [](const Mark& mark) { return known(mark.x) && known(mark.y); };
  const auto measured = [&](const Series& series) {
    return series.sets_range && std::any_of(series.marks.begin(), series.marks.end(), drawn);
  };
  if (std::none_of(chart.series.begin(), chart.series.end(), measured)) return false;
  figure.panels.push_back({.chart = chart, .name = name, .above = "", .below = ""});
  return true;
}

int method_colour(const Results& results, const std::string& method) {
  for (std::size_t i = 0; i < results.table.size(); ++i)
    if (results.table[i].method == method) return static_cast<int>(i % 7);
  return 1;
}

}  // namespace hac::report
