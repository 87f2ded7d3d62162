#pragma once
// The figures of the report. The paper's Fig. 1 to 5, and what the search itself did.

#include <string>
#include <variant>
#include <vector>

#include "scaling/experiment/results.h"
#include "tools/report/chart.h"
#include "tools/report/heatmap.h"

namespace hac::report {

// A table or pictures: HTML for the page, and its values for the files beside it.
struct Listing {
  std::string title, html, csv, json;
};

// A drawing of a figure, and the values that it draws.
struct Panel {
  std::variant<Chart, BarChart, HeatMap, Listing> chart;
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
// As SVG, for the page; of a listing its HTML.
std::string drawing_of(const Panel& panel);
inline bool is_drawing(const Panel& panel) { return !std::holds_alternative<Listing>(panel.chart); }
// Writes FOLDER/data/FILE.csv, .json and, of drawings, .svg of each panel, which the page links to.
void write_data(const std::string& folder, const std::vector<Figure>& figures);

}  // namespace hac::report
