#pragma once
// The page around the figures, and what other pages share with it.

#include <string>
#include <utility>
#include <vector>

#include "tools/report/figures.h"

namespace hac::report {

// A document with the style sheet in it; `body` is HTML, the title text.
std::string render_frame(const std::string& title, const std::string& body);
std::string render_figure(const Figure& figure);
// Escaped, and a number stays with its per cent sign.
std::string prose(const std::string& text);

std::string render_page(const Results& results, const std::vector<Figure>& figures,
                        const std::string& raw_json);

}  // namespace hac::report
