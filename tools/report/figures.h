#pragma once
// The figures of the report. The paper's Fig. 1 to 5, and what the search itself did.

#include <string>
#include <variant>
#include <vector>

#include "scaling/experiment/results.h"
#include "tools/report/chart.h"

namespace hac::report {

// A drawing of a figure, and the values that it draws.
struct Panel {
  std::variant<Chart, BarChart> chart;
  std::string name;          // that tells it from the others of its figure
  std::string above, below;  // HTML
  std::string file = "";     // of its data beside the page, without an ending; empty: none
};

struct Figure {
  std::string id, title;
  std::vector<Panel> panels;  // empty: `finding` says what is missing
  std::string see, finding;   // the two lines of the caption
  bool small_panels = false;  // small multiples
  bool wide = false;          // takes the full width of the page
};

// Gives each panel its file: FIGURE or, of several, FIGURE-PANEL.
void name_files(Figure& figure);
// Always all of them, in reading order, with their files.
std::vector<Figure> make_figures(const Results& results);
// As SVG, for the page.
std::string drawing_of(const Panel& panel);
// Writes FOLDER/data/FILE.csv, .json and .svg of each panel, which the page links to.
void write_data(const std::string& folder, const std::vector<Figure>& figures);

}  // namespace hac::report
