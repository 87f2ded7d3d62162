#pragma once
// The report of a run: results.json in, one HTML page or one plain table out.
//
// Both are pure functions of the file's text, so a report can be rendered again at any time.
// Both throw ConfigError with the JSON path when the text is not JSON, a field is missing or of the
// wrong type. The fields are those of tools/report/results.h; a number that was not measured is
// null; a section that is absent is replaced by one sentence.

#include <string>

namespace hac {

// One self-contained page: no script, nothing loaded from elsewhere, light and dark, printable.
std::string render_report(const std::string& results_json);

// The result table in aligned columns for a terminal, with one line on what it shows.
std::string render_result_table(const std::string& results_json);

// How many of its latencies a busy machine disturbed, in one line; "" if none.
std::string unsteady_line(const std::string& results_json);

}  // namespace hac
