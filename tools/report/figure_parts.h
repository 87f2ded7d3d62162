#pragma once
// What the figures share.

#include "tools/report/chart.h"
#include "tools/report/figures.h"
#include "tools/report/text.h"

namespace hac::report {

// A unit in which the largest value has one to three digits before the point.
struct Unit {
  double factor = 1;
  std::string prefix;
};
Unit unit_for(double largest);

std::string accuracy_text(const Accuracy& top1);
// In per cent, with the interval as the error bar.
Mark accuracy_mark(double x, const Accuracy& top1, const std::string& tip);
// False where nothing was measured: then there is no panel.
bool add_panel(Figure& figure, const Chart& chart, const std::string& name = "");
// The colour of a method is the same in every figure: its row in the result table.
int method_colour(const Results& results, const std::string& method);

Figure accuracy_figure(const Results& results, bool latency);  // else parameters
Figure device_figure(const Results& results);
Figure alpha_figure(const Results& results);
Figure widths_figure(const Results& results);
Figure steps_figure(const Results& results);
Figure gap_figure(const Results& results);
Figure roofline_figure(const Results& results);
Figure staircase_figure(const Results& results);

}  // namespace hac::report
