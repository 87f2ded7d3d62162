#pragma once
// The figures of the report. The paper's Fig. 1 to 4, and what the search itself did.

#include <string>
#include <vector>

#include "scaling/experiment/results.h"

namespace hac::report {

struct Figure {
  std::string id, title;
  std::vector<std::string> panels;  // SVG; empty: `finding` says what is missing
  std::string see, finding;         // the two lines of the caption
  bool small_panels = false;        // small multiples
  bool wide = false;                // takes the full width of the page
};

// Always all of them, in reading order.
std::vector<Figure> make_figures(const Results& results);

}  // namespace hac::report
