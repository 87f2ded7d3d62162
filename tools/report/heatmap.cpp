#include "tools/report/heatmap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/io/csv.h"
#include "tools/report/svg.h"
#include "tools/report/text.h"

namespace hac::report {
namespace {

constexpr std::int64_t most_named = 24;
constexpr int shades = 10;       // of cells that hold no text
constexpr double darkest = 0.6;  // of those that do

std::int64_t classes_of(const HeatMap& map) { return std::ssize(map.names); }

std::vector<std::int64_t> row_sums(const HeatMap& map) {
  std::vector<std::int64_t> sums(map.names.size());
  for (const auto& [row, column, count] : map.cells) sums[row] += count;
  return sums;
}

// As it is drawn: counts and their rows' sums, of squares of classes.
struct Drawn {
  std::int64_t n = 0, block = 1;
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> counts;
  std::vector<std::int64_t> sums;

  explicit Drawn(const HeatMap& map) : block(map.block()) {
    n = (classes_of(map) + block - 1) / block;
    sums.resize(n);
    for (const auto& [row, column, count] : map.cells) {
      counts[{row / block, column / block}] += count;
      sums[row / block] += count;
    }
  }
  double share(std::int64_t row, std::int64_t count) const {
    return static_cast<double>(count) / static_cast<double>(sums[row]);
  }
};

struct Frame {
  Box plot;
  double side = 0;  // of a cell
  double x(std::int64_t column) const { return plot.x + side * static_cast<double>(column); }
  double y(std::int64_t row) const { return plot.y + side * static_cast<double>(row); }
};

const char* hue(bool hit) { return hit ? "hit" : "miss"; }

// Each cell with its per cent, which reads without hovering.
std::string named_cells(const HeatMap& map, const Drawn& drawn, const Frame& frame) {
  std::string svg;
  for (const auto& [cell, count] : drawn.counts) {
    const auto [row, column] = cell;
    const double share = drawn.share(row, count);
    const double x = frame.x(column), y = frame.y(row);
    svg += fmt::format(
        "<g><title>{}: {} of {} {} ({})</title><rect class=\"cell {}\" x=\"{:.1f}\" y=\"{:.1f}\" "
        "width=\"{:.1f}\" height=\"{:.1f}\" fill-opacity=\"{:.2f}\"/>",
        escape(map.names[row]), count, drawn.sums[row],
        row == column ? "right" : "taken for " + escape(map.names[column]), format_percent(share),
        hue(row == column), x, y, frame.side, frame.side, darkest * std::sqrt(share));
    const std::string text = fmt::format("{:.0f}", 100 * share);
    if (text != "0" && text_width(text, 0.88 * map.font) <= frame.side) {
      svg += svg_text("label percent", x + frame.side / 2, y + frame.side / 2, text,
                      " dy=\".35em\" text-anchor=\"middle\"");
    }
    svg += "</g>\n";
  }
  return svg;
}

// One path a shade: a cell costs a dozen bytes.
std::string shaded_cells(const Drawn& drawn, const Frame& frame) {
  std::map<std::pair<bool, int>, std::string> paths;
  for (const auto& [cell, count] : drawn.counts) {
    const auto [row, column] = cell;
    const int shade = std::clamp(
        static_cast<int>(std::ceil(shades * std::sqrt(drawn.share(row, count)))), 1, shades);
    paths[{row == column, shade}] += fmt::format("M{} {}h1v1h-1z", column, row);
  }
  std::string svg = fmt::format("<g transform=\"translate({:.1f},{:.1f}) scale({:.4f})\">\n",
                                frame.plot.x, frame.plot.y, frame.side);
  for (const auto& [kind, path] : paths) {
    svg += fmt::format("<path class=\"cell {}\" fill-opacity=\"{:.2f}\" d=\"{}\"/>\n",
                       hue(kind.first), static_cast<double>(kind.second) / shades, path);
  }
  return svg + "</g>\n";
}

std::string upright(const char* style, double x, double y, const std::string& text,
                    const char* anchor) {
  return fmt::format(
      "<text class=\"{}\" transform=\"translate({:.1f},{:.1f}) rotate(-90)\"{}>{}</text>\n", style,
      x, y, anchor, escape(text));
}

// The names, or the numbers of every so many classes.
std::string draw_names(const HeatMap& map, const Drawn& drawn, const Frame& frame, double room) {
  std::string svg;
  const bool named = drawn.n <= most_named && drawn.block == 1;
  const std::int64_t step = named ? 1 : (drawn.n + 9) / 10;
  for (std::int64_t i = 0; i < drawn.n; i += step) {
    const std::string name =
        named ? shorten(map.names[i], room, map.font) : fmt::format("{}", i * drawn.block);
    const double half = frame.side / 2;
    svg += svg_text("tick", frame.plot.x - 6, frame.y(i) + half, name, level_end) + "\n" +
           upright("tick", frame.x(i) + half, frame.plot.bottom() + 6, name, level_end);
  }
  return svg;
}

}  // namespace

std::int64_t HeatMap::block() const {
  return std::max<std::int64_t>(1, (std::ssize(names) + most_cells - 1) / most_cells);
}

std::string render_heatmap(const HeatMap& map) {
  const Drawn drawn(map);
  const bool named = drawn.n <= most_named && drawn.block == 1;
  double room = text_width(fmt::format("{}", classes_of(map)), map.font);
  if (named) {
    room = 0;
    for (const std::string& name : map.names) room = std::max(room, text_width(name, map.font));
    room = std::min(room, 0.24 * map.width);
  }
  const double left = 1.7 * map.font + room + 8, top = 4;
  Frame frame{.plot = {left, top, map.width - left - 4, 0}};
  frame.side = frame.plot.width / static_cast<double>(std::max<std::int64_t>(1, drawn.n));
  frame.plot.height = frame.plot.width;
  const double below = frame.plot.bottom() + room + 8 + 1.5 * map.font;
  return svg_begin(map.width, below + 0.5 * map.font, map.font, map.title) +
         svg_rect("plot", frame.plot) + "\n" +
         (named ? named_cells(map, drawn, frame) : shaded_cells(drawn, frame)) +
         draw_names(map, drawn, frame, room) +
         upright("axis", 1.1 * map.font, frame.plot.y + frame.plot.height / 2, map.rows, middle) +
         svg_text("axis", frame.plot.x + frame.plot.width / 2, below, map.columns, middle) +
         "</svg>\n";
}

std::string chart_csv(const HeatMap& map) {
  const std::vector<std::int64_t> sums = row_sums(map);
  std::string text = "row,column,count,share\n";
  for (const auto& [row, column, count] : map.cells) {
    const std::string cells[] = {
        map.names[row], map.names[column], fmt::format("{}", count),
        fmt::format("{}", static_cast<double>(count) / static_cast<double>(sums[row]))};
    text += csv_line(cells);
  }
  return text;
}

std::string chart_json(const HeatMap& map) {
  const nlohmann::ordered_json j{{"title", map.title},
                                 {"rows", map.rows},
                                 {"columns", map.columns},
                                 {"names", map.names},
                                 {"cells", map.cells}};
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace hac::report
