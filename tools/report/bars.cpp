// Horizontal bars: the widths of a network before and after scaling.

#include <fmt/format.h>

#include <algorithm>

#include "tools/report/chart.h"

namespace hac::report {
namespace {

std::string bar(const char* style, double x, double y, double width, double height) {
  return fmt::format(
      "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>", style, x,
      y, width, height);
}

std::string change_text(const BarRow& row) {
  if (row.before == row.after) return format_whole(row.before);
  return fmt::format("{} → {}", format_whole(row.before), format_whole(row.after));
}

std::string draw_row(const BarRow& row, const Scale& scale, double middle, double name_width,
                     double font) {
  const double start = scale.from, thick = 0.6 * font;
  std::string svg = fmt::format(
      "<g><title>{}</title><text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" dy=\".35em\" "
      "text-anchor=\"end\">{}</text>",
      escape(row.tip.empty() ? row.name : row.tip), start - 6, middle,
      escape(shorten(row.name, name_width, font)));
  double end = start;
  const auto add = [&](const char* style, double value, double top) {
    if (!scale.contains(value)) return;
    svg += bar(style, start, top, scale(value) - start, thick);
    end = std::max(end, scale(value));
  };
  add("before", row.before, middle - thick);
  add("after", row.after, middle);
  return svg +
         fmt::format("<text class=\"label\" x=\"{:.1f}\" y=\"{:.1f}\" dy=\".35em\">{}</text></g>\n",
                     end + 6, middle, change_text(row));
}

std::string draw_ticks(const Scale& scale, const Box& plot, double font) {
  std::vector<double> ticks;
  for (int target = 5; target >= 1; --target) {
    ticks = nice_ticks(scale.lo, scale.hi, target);
    const double room = text_width(tick_labels(ticks, false).back(), font) + 8;
    if (ticks.size() < 2 || scale(ticks[1]) - scale(ticks[0]) >= room) break;
  }
  const auto labels = tick_labels(ticks, false);
  const double bottom = plot.y + plot.height;
  std::string svg;
  for (std::size_t i = 0; i < ticks.size(); ++i)
    svg += fmt::format(
        "<path class=\"grid\" d=\"M{0:.1f} {1:.1f}V{2:.1f}\"/>"
        "<text class=\"tick\" x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\">{4}</text>\n",
        scale(ticks[i]), plot.y, bottom + 4, bottom + 4 + font, labels[i]);
  return svg;
}

}  // namespace

std::string render_bars(const BarChart& chart) {
  const double font = chart.font, row_height = 1.9 * font;
  const auto [legend, legend_height] = render_legend(
      {{"before", bar("before", 0, -4, 22, 8)}, {"after", bar("after", 0, -4, 22, 8)}}, 4,
      chart.width - 4, font);
  double names = 0, texts = 0;
  std::vector<double> values{chart.reach};
  for (const BarRow& row : chart.rows) {
    names = std::max(names, text_width(row.name, font));
    texts = std::max(texts, text_width(change_text(row), 0.88 * font));
    values.insert(values.end(), {row.before, row.after});
  }
  names = std::min(names, 0.3 * chart.width);
  Scale scale = fit_scale(values, {.from_zero = true});
  const Box plot{names + 10, legend_height + 0.6 * font, chart.width - names - 24,
                 row_height * chart.rows.size()};
  scale.from = plot.x;
  scale.to = plot.x + plot.width - texts - 12;  // the longest bar has its text inside the frame
  const double bottom = plot.y + plot.height;

  std::string svg = fmt::format(
      "<svg role=\"img\" viewBox=\"0 0 {:.0f} {:.0f}\" style=\"max-width:{:.0f}px;font-size:{}px\">"
      "\n<title>{}</title>\n{}",
      chart.width, bottom + 3.3 * font, chart.width * 1.3, font, escape(chart.title), legend);
  svg += bar("plot", plot.x, plot.y, plot.width, plot.height) + "\n";
  svg += draw_ticks(scale, plot, font);
  for (std::size_t i = 0; i < chart.rows.size(); ++i)
    svg += draw_row(chart.rows[i], scale, plot.y + (i + 0.5) * row_height, names, font);
  svg += fmt::format(
      "<text class=\"axis\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}"
      "</text>\n</svg>\n",
      plot.x + plot.width / 2, bottom + 2.85 * font, escape(chart.axis_label));
  return svg;
}

}  // namespace hac::report
