#include "tools/report/svg.h"

#include <fmt/format.h>

#include "tools/report/text.h"

namespace hac::report {

std::string svg_begin(double width, double height, double font, const std::string& title) {
  return fmt::format(
      "<svg role=\"img\" viewBox=\"0 0 {:.0f} {:.0f}\" style=\"max-width:{:.0f}px;"
      "font-size:{}px\">\n<title>{}</title>\n",
      width, height, width * 1.3, font, escape(title));
}

std::string svg_text(const std::string& style, double x, double y, const std::string& text,
                     const char* anchor) {
  return fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\"{}>{}</text>", style, x, y,
                     anchor, escape(text));
}

std::string svg_rect(const char* style, const Box& b) {
  return fmt::format(
      "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>", style,
      b.x, b.y, b.width, b.height);
}

std::string svg_x_ticks(const Scale& scale, const std::vector<double>& ticks, const Box& plot,
                        double gap) {
  const auto labels = tick_labels(ticks, scale.log);
  std::string svg;
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const double x = scale(ticks[i]);
    svg +=
        fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>{}\n", x, plot.y,
                    plot.bottom() + 4, svg_text("tick", x, plot.bottom() + gap, labels[i], middle));
  }
  return svg;
}

std::string svg_x_label(const std::string& label, const Box& plot, double font) {
  return svg_text("axis", plot.x + plot.width / 2, plot.bottom() + 2.85 * font, label, middle) +
         "\n";
}

std::pair<std::string, double> svg_legend(const std::vector<LegendEntry>& entries, double width,
                                          double font) {
  const double left = 4, right = width - 4;
  const double row = font * 1.5, swatch = 22, gap = 6, between = 14;
  std::string svg;
  double x = left, y = row * 0.5;
  for (const LegendEntry& entry : entries) {
    const std::string name = shorten(entry.name, right - left - swatch - gap, font);
    const double taken = swatch + gap + text_width(name, font);
    if (x > left && x + taken > right) {
      x = left;
      y += row;
    }
    svg += fmt::format("<g transform=\"translate({:.1f},{:.1f})\">{}</g>{}\n", x, y, entry.swatch,
                       svg_text("legend", x + swatch + gap, y, name, level));
    x += taken + between;
  }
  return {svg, entries.empty() ? 0 : y + row * 0.7};
}

std::string marker_path(int index, double size) {
  const double s = size, t = size * 1.15, u = size * 0.36;
  const auto triangle = [&](double up) {
    return fmt::format("M0 {:.1f}L{:.1f} {:.1f}H{:.1f}Z", -up * t, t, up * s * 0.85, -t);
  };
  switch (index % 6) {
    case 0:
      return fmt::format(
          "M{0:.1f} 0a{1:.1f} {1:.1f} 0 1 0 {2:.1f} 0a{1:.1f} {1:.1f} 0 1 0 {3:.1f} 0Z", -s, s,
          2 * s, -2 * s);
    case 1:
      return fmt::format("M{0:.1f} {0:.1f}H{1:.1f}V{1:.1f}H{0:.1f}Z", -s * 0.9, s * 0.9);
    case 2:
      return triangle(1);
    case 3:
      return fmt::format("M0 {0:.1f}L{1:.1f} 0L0 {1:.1f}L{0:.1f} 0Z", -s * 1.25, s * 1.25);
    case 4:
      return triangle(-1);
    default:
      return fmt::format(
          "M{0:.1f} {1:.1f}H{2:.1f}V{0:.1f}H{3:.1f}V{2:.1f}H{2:.1f}V{3:.1f}H{0:.1f}"
          "V{2:.1f}H{1:.1f}V{0:.1f}H{0:.1f}Z",
          -u, -t, u, t);
  }
}

}  // namespace hac::report
