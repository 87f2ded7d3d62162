#include "tools/report/chart.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/report/svg.h"
#include "tools/report/text.h"

namespace hac::report {
namespace {

// Everything that the parts of a drawing share.
struct Frame {
  const Chart& chart;
  Box plot;
  Scale x, y;
  std::vector<double> x_ticks, y_ticks;
  std::vector<Box> taken;   // marks, error bars, lines and labels so far
  std::vector<Box> labels;  // of these

  bool shows(const Mark& mark) const { return x.contains(mark.x) && y.contains(mark.y); }
};

std::string colour_class(int colour) { return fmt::format("c{}", colour % 8); }

std::string swatch(const Series& series, double size) {
  std::string svg;
  if (series.line || !series.markers)
    svg = fmt::format("<path class=\"line{} {}\" d=\"M0 0H22\"/>", series.dashed ? " dashed" : "",
                      colour_class(series.colour));
  const bool hollow = !series.marks.empty() && series.marks.front().hollow;
  if (series.markers)
    svg += fmt::format("<path class=\"{} {}\" transform=\"translate(11,0)\" d=\"{}\"/>",
                       hollow ? "hollow" : "fill", colour_class(series.colour),
                       marker_path(series.colour, size));
  return svg;
}

std::vector<LegendEntry> legend_of(const Chart& chart) {
  std::vector<LegendEntry> entries;
  for (const Series& series : chart.series)
    if (!series.name.empty()) entries.push_back({series.name, swatch(series, 4.2)});
  for (const Band& band : chart.bands)
    entries.push_back({band.name, svg_rect("band", {0, -5, 22, 10})});
  for (const Guide& guide : chart.guides)
    if (!guide.name.empty())
      entries.push_back({guide.name, "<path class=\"guide\" d=\"M0 0H22\"/>"});
  return entries;
}

void fit_ranges(Frame& frame) {
  std::vector<double> xs = frame.chart.include_x, ys = frame.chart.include_y;
  for (const Series& series : frame.chart.series) {
    if (!series.sets_range) continue;
    for (const Mark& mark : series.marks) {
      if (!known(mark.x) || !known(mark.y)) continue;
      xs.insert(xs.end(), {mark.x, mark.left, mark.right});
      ys.insert(ys.end(), {mark.y, mark.low, mark.high});
    }
  }
  for (const Guide& guide : frame.chart.guides) {
    xs.push_back(guide.x);
    ys.push_back(guide.y);
    if (guide.diagonal) {
      xs.insert(xs.end(), ys.begin(), ys.end());
      ys = xs;
    }
  }
  frame.x = fit_scale(xs, frame.chart.x);
  frame.y = fit_scale(ys, frame.chart.y);
}

std::vector<double> ticks_of(const Scale& scale, int target) {
  return scale.log ? log_ticks(scale.lo, scale.hi, target) : nice_ticks(scale.lo, scale.hi, target);
}

double widest(const std::vector<std::string>& labels, double font) {
  double width = 0;
  for (const auto& label : labels) width = std::max(width, text_width(label, font));
  return width;
}

// As many x ticks as keep their labels apart.
void choose_x_ticks(Frame& frame) {
  for (int target = 7; target >= 1; --target) {
    frame.x_ticks = ticks_of(frame.x, target);
    const auto labels = tick_labels(frame.x_ticks, frame.x.log);
    bool apart = true;
    for (std::size_t i = 1; i < labels.size(); ++i) {
      const double room = text_width(labels[i - 1] + labels[i], frame.chart.font) / 2 + 5;
      apart = apart && frame.x(frame.x_ticks[i]) - frame.x(frame.x_ticks[i - 1]) >= room;
    }
    if (apart) return;
  }
}

void lay_out(Frame& frame, double legend_height) {
  const double font = frame.chart.font;
  fit_ranges(frame);
  frame.y_ticks = ticks_of(frame.y, static_cast<int>(frame.chart.height / (3.2 * font)));
  const double left = 1.7 * font + widest(tick_labels(frame.y_ticks, frame.y.log), font) + 7;
  const double top = legend_height + 0.6 * font;
  frame.plot = {left, top, frame.chart.width - left - 1.2 * font,
                frame.chart.height + legend_height - top - 3.3 * font};
  frame.x.from = frame.plot.x, frame.x.to = frame.plot.right();
  frame.y.from = frame.plot.bottom(), frame.y.to = frame.plot.y;
  choose_x_ticks(frame);
}

std::string draw_axes(const Frame& frame) {
  const Box& p = frame.plot;
  const double font = frame.chart.font;
  std::string svg = svg_rect("plot", p) + "\n" + svg_x_ticks(frame.x, frame.x_ticks, p, 6 + font);
  const auto y_labels = tick_labels(frame.y_ticks, frame.y.log);
  for (std::size_t i = 0; i < y_labels.size(); ++i) {
    const double y = frame.y(frame.y_ticks[i]);
    svg += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>{}\n", p.x - 4, y,
                       p.right(), svg_text("tick", p.x - 7, y, y_labels[i], level_end));
  }
  return svg + svg_x_label(frame.chart.x.label, p, font) +
         fmt::format(
             "<text class=\"axis\" transform=\"translate({:.1f},{:.1f}) "
             "rotate(-90)\"{}>{}</text>\n",
             1.1 * font, p.y + p.height / 2, middle, escape(frame.chart.y.label));
}

std::string draw_bands(const Frame& frame) {
  std::string svg;
  for (const Band& band : frame.chart.bands) {
    if (!known(band.low) || !known(band.high)) continue;
    const double low = std::clamp(band.low, frame.y.lo, frame.y.hi);
    const double high = std::clamp(band.high, frame.y.lo, frame.y.hi);
    if (!(low < high)) continue;
    svg += svg_rect("band",
                    {frame.plot.x, frame.y(high), frame.plot.width, frame.y(low) - frame.y(high)}) +
           "\n";
  }
  return svg;
}

std::string draw_guides(Frame& frame) {
  std::string svg;
  const Box& p = frame.plot;
  const auto draw = [&](double x, double y, const std::string& to) {
    svg += fmt::format("<path class=\"guide\" d=\"M{:.1f} {:.1f}{}\"/>\n", x, y, to);
  };
  for (const Guide& guide : frame.chart.guides) {
    const double lo = std::max(frame.x.lo, frame.y.lo), hi = std::min(frame.x.hi, frame.y.hi);
    if (guide.diagonal && lo < hi) {
      draw(frame.x(lo), frame.y(lo), fmt::format("L{:.1f} {:.1f}", frame.x(hi), frame.y(hi)));
    }
    if (frame.x.contains(guide.x)) {
      frame.taken.push_back({frame.x(guide.x) - 1, p.y, 2, p.height});
      draw(frame.x(guide.x), p.y, fmt::format("v{:.1f}", p.height));
    }
    if (frame.y.contains(guide.y)) {
      frame.taken.push_back({p.x, frame.y(guide.y) - 1, p.width, 2});
      draw(p.x, frame.y(guide.y), fmt::format("h{:.1f}", p.width));
    }
  }
  return svg;
}

// Marks boxes along a segment as taken, so that labels stay off lines.
void take_segment(Frame& frame, double x0, double y0, double x1, double y1) {
  const int pieces = 1 + static_cast<int>(std::hypot(x1 - x0, y1 - y0) / 8);
  if (frame.taken.size() > 4000) return;
  for (int i = 0; i <= pieces; ++i) {
    const double t = static_cast<double>(i) / pieces;
    frame.taken.push_back({x0 + t * (x1 - x0) - 1, y0 + t * (y1 - y0) - 1, 2, 2});
  }
}

std::string draw_line(Frame& frame, const Series& series) {
  std::string path;
  const Mark* before = nullptr;
  for (const Mark& mark : series.marks) {
    if (!frame.shows(mark)) {
      before = nullptr;
      continue;
    }
    const double x = frame.x(mark.x), y = frame.y(mark.y);
    path += fmt::format("{}{:.1f} {:.1f}", before ? 'L' : 'M', x, y);
    if (before) take_segment(frame, frame.x(before->x), frame.y(before->y), x, y);
    before = &mark;
  }
  if (path.empty()) return "";
  return fmt::format("<path class=\"line{} {}\" d=\"{}\"/>\n", series.dashed ? " dashed" : "",
                     colour_class(series.colour), path);
}

std::string draw_error_bars(Frame& frame, const Series& series, const Mark& mark) {
  std::string path;
  const double x = frame.x(mark.x), y = frame.y(mark.y);
  if (frame.y.contains(mark.low) && frame.y.contains(mark.high)) {
    const double low = frame.y(mark.low), high = frame.y(mark.high);
    frame.taken.push_back({x - 4, high, 8, low - high});
    path += fmt::format("M{:.1f} {:.1f}h8m-4 0V{:.1f}m-4 0h8", x - 4, high, low);
  }
  if (frame.x.contains(mark.left) && frame.x.contains(mark.right)) {
    const double left = frame.x(mark.left), right = frame.x(mark.right);
    frame.taken.push_back({left, y - 4, right - left, 8});
    path += fmt::format("M{:.1f} {:.1f}v8m0 -4H{:.1f}m0 -4v8", left, y - 4, right);
  }
  if (path.empty()) return "";
  return fmt::format("<path class=\"bar {}\" d=\"{}\"/>\n", colour_class(series.colour), path);
}

std::string draw_mark(Frame& frame, const Series& series, const Mark& mark) {
  const double x = frame.x(mark.x), y = frame.y(mark.y);
  frame.taken.push_back({x - 6, y - 6, 12, 12});
  return fmt::format(
      "<path class=\"mark {}{}\" transform=\"translate({:.1f},{:.1f})\" d=\"{}\">"
      "<title>{}</title></path>\n",
      mark.hollow ? "hollow " : "fill ", colour_class(series.colour), x, y,
      marker_path(series.colour, frame.chart.marker),
      escape(mark.tip.empty() ? mark.label : mark.tip));
}

// Where a label of this size may lie about a mark, the best place first: beside it, then further
// away.
struct Place {
  Box box;
  bool led = false;  // needs a line from the mark
};
std::vector<Place> places_about(double x, double y, double width, double height) {
  std::vector<Place> places;
  for (const double away : {5.0, 11.0, 18.0, 26.0, 36.0, 48.0, 62.0}) {
    const double right = x + away, left = x - away - width, up = y - away - height, down = y + away;
    const double middle_x = x - width / 2, middle_y = y - height / 2;
    const std::pair<double, double> corners[] = {
        {right + 3, middle_y}, {left - 3, middle_y}, {right, up},        {left, up},
        {right, down},         {left, down},         {middle_x, up - 3}, {middle_x, down + 3}};
    for (const auto& [at_x, at_y] : corners) {
      places.push_back({.box = {at_x, at_y, width, height}, .led = away > 12});
    }
  }
  return places;
}

// Boxes along the line from a mark to its label.
std::vector<Box> leader_to(const Box& label, double x, double y) {
  const double to_x = std::clamp(x, label.x, label.right());
  const double to_y = std::clamp(y, label.y, label.bottom());
  std::vector<Box> boxes;
  for (int i = 0; i <= 16; ++i) {
    boxes.push_back({x + (to_x - x) * i / 16 - 0.5, y + (to_y - y) * i / 16 - 0.5, 1, 1});
  }
  return boxes;
}

bool meets_any(const Box& box, const std::vector<Box>& others) {
  return std::ranges::any_of(others, [&](const Box& other) { return box.overlaps(other); });
}

// The first place where the label meets nothing; none: no label. In the colour of its series, as
// another's mark may be as close.
std::string draw_label(Frame& frame, const Mark& mark, int colour) {
  const double font = frame.chart.font * 0.88, x = frame.x(mark.x), y = frame.y(mark.y);
  const double height = font * 1.1;
  const Box& p = frame.plot;
  for (const Place& place : places_about(x, y, text_width(mark.label, font), height)) {
    const Box& box = place.box;
    const bool inside = box.x >= p.x + 1 && box.right() <= p.right() - 1 && box.y >= p.y + 1 &&
                        box.bottom() <= p.bottom() - 1;
    if (!inside || meets_any(box, frame.taken)) continue;
    std::string svg;
    if (place.led) {
      const std::vector<Box> leader = leader_to(box, x, y);
      const auto crosses = [&](const Box& part) { return meets_any(part, frame.labels); };
      if (std::ranges::any_of(leader, crosses)) continue;
      frame.taken.insert(frame.taken.end(), leader.begin(), leader.end());
      const Box& end = leader.back();
      svg = fmt::format("<path class=\"leader {}\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>",
                        colour_class(colour), x, y, end.x + 0.5, end.y + 0.5);
    }
    frame.taken.push_back(box);
    frame.labels.push_back(box);
    return svg +
           svg_text("label " + colour_class(colour), box.x, box.y + height * 0.8, mark.label) +
           "\n";
  }
  return "";
}

std::string draw_series(Frame& frame) {
  std::string lines, bars, marks, labels;
  for (const Series& series : frame.chart.series) {
    if (series.line || !series.markers) lines += draw_line(frame, series);
    for (const Mark& mark : series.marks) {
      if (!series.markers || !frame.shows(mark)) continue;
      bars += draw_error_bars(frame, series, mark);
      marks += draw_mark(frame, series, mark);
    }
  }
  for (const Series& series : frame.chart.series)
    for (const Mark& mark : series.marks)
      if (!mark.label.empty() && frame.shows(mark))
        labels += draw_label(frame, mark, series.colour);
  return lines + bars + marks + labels;
}

}  // namespace

std::string render_chart(const Chart& chart) {
  const auto [legend, legend_height] = svg_legend(legend_of(chart), chart.width, chart.font);
  Frame frame{.chart = chart};
  lay_out(frame, legend_height);
  // The axis line is above the grid and below the marks. Guides come before the labels, which keep
  // off what is drawn.
  std::string svg =
      svg_begin(chart.width, chart.height + legend_height, chart.font, chart.title) + legend;
  svg += draw_axes(frame);
  svg += draw_bands(frame);
  svg += draw_guides(frame);
  svg += draw_series(frame);
  return svg + "</svg>\n";
}

}  // namespace hac::report
