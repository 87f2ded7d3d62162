// Horizontal bars: the widths of a network before and after scaling.

#include <fmt/format.h>

#include <algorithm>

#include "tools/report/chart.h"
#include "tools/report/svg.h"
#include "tools/report/text.h"

namespace hac::report {
namespace {

bool single(const BarChart& chart) { return chart.after.empty(); }

std::string change_text(const BarRow& row, const char* between) {
  if (!known(row.before)) return format_number(row.after);
  if (row.before == row.after) return format_whole(row.before);
  return format_whole(row.before) + between + format_whole(row.after);
}

std::string draw_row(const BarRow& row, const char* between, const Scale& scale, double centre,
                     double name_width, double font) {
  const double start = scale.from, thick = 0.6 * font;
  std::string svg =
      "<g><title>" + escape(row.tip.empty() ? row.name : row.tip) + "</title>" +
      svg_text("tick", start - 6, centre, shorten(row.name, name_width, font), level_end);
  double end = start;
  const auto add = [&](const char* style, double value, double top) {
    if (!scale.contains(value)) return;
    svg += svg_rect(style, {start, top, scale(value) - start, thick});
    end = std::max(end, scale(value));
  };
  if (known(row.before)) add("before", row.before, centre - thick);
  add("after", row.after, known(row.before) ? centre : centre - thick / 2);
  return svg + svg_text("label", end + 6, centre, change_text(row, between), level) + "</g>\n";
}

// As many as keep their labels apart.
std::vector<double> ticks_of(const Scale& scale, double font) {
  std::vector<double> ticks;
  for (int target = 5; target >= 1; --target) {
    ticks = nice_ticks(scale.lo, scale.hi, target);
    const double room = text_width(tick_labels(ticks, false).back(), font) + 8;
    if (ticks.size() < 2 || scale(ticks[1]) - scale(ticks[0]) >= room) break;
  }
  return ticks;
}

}  // namespace

std::string render_bars(const BarChart& chart) {
  const double font = chart.font, row_height = 1.9 * font;
  const Box swatch{0, -4, 22, 8};
  const std::vector<LegendEntry> entries{{chart.before, svg_rect("before", swatch)},
                                         {chart.after, svg_rect("after", swatch)}};
  const auto [legend, legend_height] =
      svg_legend(single(chart) ? std::vector<LegendEntry>{} : entries, chart.width, font);
  double names = 0, texts = 0;
  std::vector<double> values{chart.reach};
  for (const BarRow& row : chart.rows) {
    names = std::max(names, text_width(row.name, font));
    texts = std::max(texts, text_width(change_text(row, chart.between), 0.88 * font));
    values.insert(values.end(), {row.before, row.after});
  }
  names = std::min(names, (single(chart) ? 0.42 : 0.3) * chart.width);
  Scale scale = fit_scale(values, {.from_zero = true});
  const Box plot{names + 10, legend_height + 0.6 * font, chart.width - names - 24,
                 row_height * chart.rows.size()};
  scale.from = plot.x;
  scale.to = plot.right() - texts - 12;  // the longest bar has its text inside the frame

  std::string svg = svg_begin(chart.width, plot.bottom() + 3.3 * font, font, chart.title) + legend +
                    svg_rect("plot", plot) + "\n" +
                    svg_x_ticks(scale, ticks_of(scale, font), plot, 4 + font);
  for (std::size_t i = 0; i < chart.rows.size(); ++i)
    svg +=
        draw_row(chart.rows[i], chart.between, scale, plot.y + (i + 0.5) * row_height, names, font);
  return svg + svg_x_label(chart.axis_label, plot, font) + "</svg>\n";
}

}  // namespace hac::report
