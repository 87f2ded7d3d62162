// Legends and markers, shared by the charts.

#include <fmt/format.h>

#include <algorithm>

#include "tools/report/chart.h"

namespace hac::report {

std::string marker_path(int index, double size) {
  const double s = size, t = size * 1.15, u = size * 0.36;
  switch (index % 6) {
    case 0:
      return fmt::format(
          "M{0:.1f} 0a{1:.1f} {1:.1f} 0 1 0 {2:.1f} 0a{1:.1f} {1:.1f} 0 1 0 {3:.1f} 0Z", -s, s,
          2 * s, -2 * s);
    case 1:
      return fmt::format("M{0:.1f} {0:.1f}H{1:.1f}V{1:.1f}H{0:.1f}Z", -s * 0.9, s * 0.9);
    case 2:
      return fmt::format("M0 {0:.1f}L{1:.1f} {2:.1f}H{3:.1f}Z", -t, t, s * 0.85, -t);
    case 3:
      return fmt::format("M0 {0:.1f}L{1:.1f} 0L0 {1:.1f}L{0:.1f} 0Z", -s * 1.25, s * 1.25);
    case 4:
      return fmt::format("M0 {0:.1f}L{1:.1f} {2:.1f}H{3:.1f}Z", t, t, -s * 0.85, -t);
    default:
      return fmt::format(
          "M{0:.1f} {1:.1f}H{2:.1f}V{0:.1f}H{3:.1f}V{2:.1f}H{2:.1f}V{3:.1f}H{0:.1f}"
          "V{2:.1f}H{1:.1f}V{0:.1f}H{0:.1f}Z",
          -u, -t, u, t);
  }
}

std::pair<std::string, double> render_legend(const std::vector<LegendEntry>& entries, double left,
                                             double right, double font) {
  const double row = font * 1.5, swatch = 22, gap = 6, between = 14;
  std::string svg;
  double x = left, y = row * 0.5;
  for (const LegendEntry& entry : entries) {
    const std::string name = shorten(entry.name, right - left - swatch - gap, font);
    const double width = swatch + gap + text_width(name, font);
    if (x > left && x + width > right) {
      x = left;
      y += row;
    }
    svg += fmt::format(
        "<g transform=\"translate({:.1f},{:.1f})\">{}</g>"
        "<text class=\"legend\" x=\"{:.1f}\" y=\"{:.1f}\" dy=\".35em\">{}</text>\n",
        x, y, entry.swatch, x + swatch + gap, y, escape(name));
    x += width + between;
  }
  return {svg, entries.empty() ? 0 : y + row * 0.7};
}

}  // namespace hac::report
