#pragma once
// Why latency falls less than compute, and what growth is free where: an Explanation drawn.

#include <string>
#include <vector>

#include "scaling/methods/explanation.h"
#include "tools/report/figures.h"

namespace hac::report {

// For each device its growth along the three dimensions and its layers' shares of work and of time;
// with their files.
std::vector<Figure> explanation_figures(const Explanation& explanation);
// A section of a page: what was asked, a table of what each budget buys on each device, the
// figures.
std::string render_explanation(const Explanation& explanation);
// The section as a page of its own.
std::string render_explanation_page(const Explanation& explanation);

}  // namespace hac::report
