#pragma once
// Text for the report: escaping, numbers as people read them, and how wide a string is drawn.

#include <string>
#include <string_view>

#include "scaling/experiment/results.h"

namespace hac::report {

// Safe in HTML and SVG text and in quoted attributes; control characters become U+FFFD.
std::string escape(std::string_view text);

// Upper estimate of the width of UTF-8 text in a sans-serif font, in the unit of font_size.
// An estimate, because a report is written where no font is at hand; on the wide side, so that what
// fits by it fits in the browser.
double text_width(std::string_view utf8, double font_size);
// Cut with an ellipsis to at most max_width.
std::string shorten(std::string_view utf8, double max_width, double font_size);
// Code points, the column width of a terminal for the text used here.
std::size_t text_columns(std::string_view utf8);

// "-" for what is unknown, in all of these.
std::string format_number(double value);          // 3 significant: 0.0123, 1.23, 123
std::string format_whole(double value);           // 36, 12.5: no digits for show
std::string format_count(double value);           // 950, 12.3 k, 1.30 M, 4.81 G
std::string format_factor(double value);          // 1.30x, 201x
std::string format_percent(double fraction);      // 0.8812 -> 88.12 %
std::string format_fact(const FactValue& value);  // a list with commas
std::string or_dash(const std::string& text);     // of what is empty
// A limit, and in parentheses how the user wrote it.
std::string format_limit(const std::string& limit, const std::string& written);

}  // namespace hac::report
