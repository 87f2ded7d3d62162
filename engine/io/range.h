#pragma once
// Values as a user writes them: "0.5:2:0.125" from, to and step, or "1,1.5,2" one by one.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hac {

// Of a range every from + i * step up to `to` and a millionth of a step. Each above 0, in the order
// given; none of "". Throws ConfigError naming `what`: anything else, a step that is not above 0,
// an end below the beginning, more than 1000 values, or a value twice.
std::vector<double> parse_range(std::string_view text, const std::string& what);
// The same of whole numbers.
std::vector<std::int64_t> parse_whole_range(std::string_view text, const std::string& what);

}  // namespace hac
