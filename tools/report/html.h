#pragma once
// The page around the figures.

#include <string>
#include <utility>
#include <vector>

#include "tools/report/figures.h"

namespace hac::report {

std::string render_page(const Results& results, const std::vector<Figure>& figures,
                        const std::string& raw_json);

}  // namespace hac::report
