#pragma once
// Axes: which values to mark, and where a value lands.

#include <string>
#include <vector>

namespace hac::report {

// Round values (1, 2 or 5 times a power of ten apart) inside [lo, hi], about `target` of them and
// at least two. Needs finite lo < hi.
std::vector<double> nice_ticks(double lo, double hi, int target);

// The same for a logarithmic axis, 0 < lo < hi: powers of ten, with 2 and 5 between them when there
// is room, thinned when there are many decades; nice_ticks within less than a factor of three.
std::vector<double> log_ticks(double lo, double hi, int target);

// Labels for the ticks of one axis, all with the same number of decimals. Numbers below 10^-3 or
// from 10^5 on are written as powers; on a logarithmic axis then all powers of ten are.
std::vector<std::string> tick_labels(const std::vector<double>& ticks, bool log);

// What an axis shows.
struct Axis {
  std::string label;  // with its unit
  bool log = false;
  bool from_zero = false;  // linear axes of quantities whose ratios should be seen
};

// Maps [lo, hi] to [from, to] in the drawing; from > to turns it round.
struct Scale {
  double lo = 0, hi = 1;
  double from = 0, to = 1;
  bool log = false;

  double operator()(double value) const;
  bool contains(double value) const;  // false for what is unknown, or not positive on a log axis
};

// The range of the values with a margin; a single value gets room around it. Values that the axis
// cannot show are ignored.
Scale fit_scale(const std::vector<double>& values, const Axis& axis);

}  // namespace hac::report
