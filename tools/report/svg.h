#pragma once
// The SVG that charts have in common: texts, boxes, axes, legends and markers.

#include <string>
#include <utility>
#include <vector>

#include "tools/report/scale.h"

namespace hac::report {

// Axis-parallel box in the drawing, used to keep text clear of text and of marks.
struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  double right() const { return x + width; }
  double bottom() const { return y + height; }
  bool overlaps(const Box& other) const {
    return x < other.right() && other.x < right() && y < other.bottom() && other.y < bottom();
  }
};

// Where a text lies about its point; others begin there, on their baseline.
inline constexpr const char* middle = " text-anchor=\"middle\"";
inline constexpr const char* level = " dy=\".35em\"";
inline constexpr const char* level_end = " dy=\".35em\" text-anchor=\"end\"";

std::string svg_begin(double width, double height, double font, const std::string& title);
std::string svg_text(const std::string& style, double x, double y, const std::string& text,
                     const char* anchor = "");
std::string svg_rect(const char* style, const Box& box);
// The horizontal axis below a plot: a grid line and its number for each tick, `gap` below the plot.
std::string svg_x_ticks(const Scale& scale, const std::vector<double>& ticks, const Box& plot,
                        double gap);
std::string svg_x_label(const std::string& label, const Box& plot, double font);

// One entry of a legend; `swatch` draws its sample into the 22 units from (x, y) to the right.
struct LegendEntry {
  std::string name, swatch;
};
// Rows of entries down from the top of a drawing of this width, wrapped. Gives the SVG and the
// height used.
std::pair<std::string, double> svg_legend(const std::vector<LegendEntry>& entries, double width,
                                          double font);

// The outline of a marker about (0, 0): circle, square, triangle, diamond, inverted triangle, plus.
std::string marker_path(int index, double size);

}  // namespace hac::report
