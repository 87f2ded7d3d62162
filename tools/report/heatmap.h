#pragma once
// A confusion matrix drawn: rows are classes, columns what their images were taken for.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace hac::report {

struct HeatMap {
  std::string title, rows, columns;  // what it shows, and its axes
  std::vector<std::string> names;    // of both
  // Row, column, count: what is not zero, in that order.
  std::vector<std::array<std::int64_t, 3>> cells;
  double width = 420, font = 12.5;

  // Above this many classes each cell of the drawing is a square of several neighbours, so that
  // neither the page nor the cells are out of hand.
  static constexpr std::int64_t most_cells = 100;
  std::int64_t block() const;  // classes a cell
};

// Shade is the square root of a row's share, since errors are much rarer than hits: these have one
// hue, errors another. Up to 24 classes are named and their cells hold per cents; more have the
// numbers of their classes at the axes.
std::string render_heatmap(const HeatMap& map);

// A line for each cell that is not zero: row,column,count,share of the row.
std::string chart_csv(const HeatMap& map);
// {"title", "rows", "columns", "names", "cells": [[row, column, count], ...]}.
std::string chart_json(const HeatMap& map);

}  // namespace hac::report
