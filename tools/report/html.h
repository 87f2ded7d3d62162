#pragma once
// The page around the figures.

#include <string>
#include <utility>
#include <vector>

#include "tools/report/figures.h"

namespace hac::report {

// The result table; on a narrow screen each row becomes a card.
std::string render_html_table(const Results& results);

std::string render_page(const Results& results, const std::vector<Figure>& figures,
                        const std::string& raw_json);

}  // namespace hac::report
