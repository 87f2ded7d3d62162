#pragma once

namespace hac::report {

// The style sheet of the page and of the figures in it.
extern const char* const page_style;

}  // namespace hac::report
