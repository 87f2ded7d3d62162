#pragma once
// Why latency falls less than compute, and what growth is free where: an Explanation drawn.

#include <string>

#include "scaling/methods/explanation.h"

namespace hac::report {

// A section of a page: what was asked, a table of what each budget buys on each device, and for
// each device its growth along the three dimensions and its layers' shares of work and of time.
std::string render_explanation(const Explanation& explanation);
// The section as a page of its own.
std::string render_explanation_page(const Explanation& explanation);

}  // namespace hac::report
