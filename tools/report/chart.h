#pragma once
// Charts as inline SVG: points with error bars, lines, guides, a legend above the plot.
//
// Colours come from the page's style sheet (class c0..c7), so that one drawing serves light, dark
// and paper; every series also has its own marker shape. All sizes are in SVG units; the page lets
// a chart shrink to its column.

#include <string>
#include <vector>

#include "scaling/stats.h"
#include "tools/report/scale.h"

namespace hac::report {

struct Mark {
  double x = unknown, y = unknown;         // not drawn when either is unknown
  double low = unknown, high = unknown;    // error bars, when both are known: of y,
  double left = unknown, right = unknown;  // of x
  std::string label;  // beside the mark, or led to by a line; left out where there is no room
  std::string tip;    // shown on hover
  bool hollow = false;
};

struct Series {
  std::string name;  // in the legend; empty: not there
  int colour = 0;    // also picks the marker
  bool line = false, markers = true, dashed = false;
  bool sets_range = true;  // false: a fitted curve, drawn only where it lies within the others
  std::vector<Mark> marks;
};

// A straight line at a given x or y (unknown: not), or the diagonal y = x; named in the legend.
struct Guide {
  std::string name;
  double x = unknown, y = unknown;
  bool diagonal = false;
};

// A range of y over the whole width, behind everything; named in the legend.
struct Band {
  std::string name;
  double low = unknown, high = unknown;
};

struct Chart {
  std::string title;
  Axis x, y;
  std::vector<Series> series;
  std::vector<Guide> guides;
  std::vector<Band> bands;
  std::vector<double> include_x, include_y;  // values that the axes must reach
  double width = 420, height = 305, font = 12.5, marker = 4.2;
};

std::string render_chart(const Chart& chart);

// Two bars a row: what was and what became of it, or two other things in one unit. One, `after`,
// where the chart names neither.
struct BarRow {
  std::string name;
  double before = unknown, after = unknown;
  std::string tip;
};
struct BarChart {
  std::string title, axis_label;
  std::vector<BarRow> rows;
  std::string before = "before", after = "after";  // in the legend
  const char* between = " → ";                     // their values, beside the bars
  double reach = 0;  // the axis reaches at least this far, so that charts can be compared
  double width = 420, font = 12.5;
};

std::string render_bars(const BarChart& chart);

}  // namespace hac::report
