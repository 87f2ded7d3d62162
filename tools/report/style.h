#pragma once

namespace hac::report {

// The style sheet of the page and of the figures in it: style.css, embedded by CMake. Its series
// colours follow Okabe and Ito's palette for colour-blind readers, darkened for text on a light
// page and lightened on a dark one. c0 is the baseline, c7 fitted curves.
extern const char* const page_style;

}  // namespace hac::report
