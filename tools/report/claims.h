#pragma once
// The section of the page on the paper's claims.

#include <string>

#include "scaling/experiment/results.h"

namespace hac::report {

std::string claims_section(const Results& results);  // "" where a file of an older version has none

}  // namespace hac::report
