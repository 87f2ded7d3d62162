#pragma once
// The report of a run: its Results in, one HTML page or plain tables out. Both are pure
// functions, so a report can be rendered again from results.json at any time. A number that was not
// measured is a dash; a section that is absent is replaced by one sentence.

#include <string>

#include "scaling/experiment/results.h"

namespace hac {

// One self-contained page: no script, nothing loaded from elsewhere, light and dark, printable. The
// text of results.json is its appendix.
std::string render_report(const Results& results, const std::string& results_json);

// Writes FOLDER/index.html and, for each drawing of its figures, FOLDER/data/FIGURE[-PANEL].svg,
// .csv and .json, which the page links to. Gives the path of the page; throws IoError.
std::string write_report(const std::string& folder, const Results& results,
                         const std::string& results_json);

// The result table in aligned columns for a terminal, with one line on what it shows.
std::string render_result_table(const Results& results);
// The verdict on each claim of the paper with its figures, for a terminal; "" where there is none.
std::string render_claims(const Results& results);

}  // namespace hac
