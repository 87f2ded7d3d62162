#pragma once
// A chart outside the page: the drawing as a file of its own, and the data behind it.

#include <string>

#include "tools/report/chart.h"

namespace hac::report {

// A row for every mark: series,x,y,low,high,label (the text beside the mark, else its tip). Of bars
// a row each: name,before,after,tip. What is unknown is an empty cell.
std::string chart_csv(const Chart& chart);
std::string chart_csv(const BarChart& chart);
// An object: title, the labels of both axes, the series with their marks, guides and bands; of bars
// title, label and rows. What is unknown is null.
std::string chart_json(const Chart& chart);
std::string chart_json(const BarChart& chart);
// What render_chart() and render_bars() draw, as a file that shows the same without the page.
std::string standalone_svg(const std::string& svg);

}  // namespace hac::report
