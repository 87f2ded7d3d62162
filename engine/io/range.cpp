#include "engine/io/range.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/io/text.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

constexpr std::size_t most_values = 1000;

[[noreturn]] void refuse(std::string_view text, const std::string& what, const char* expected) {
  throw ConfigError(fmt::format("{}: expected {}, got '{}'", what, expected,
                                one_line(std::string(text.substr(0, 60)))));
}

// The numbers between the separators.
std::vector<double> numbers(std::string_view text, char separator, const std::string& what) {
  std::vector<double> values;
  for (std::size_t at = 0, end = 0; end != std::string_view::npos; at = end + 1) {
    end = text.find(separator, at);
    const std::string_view word = text.substr(at, end - at);
    double value = 0;
    const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    const bool number = error == std::errc{} && rest == word.data() + word.size();
    if (!number || !std::isfinite(value) || value <= 0) {
      refuse(text, what, "from:to:step or a list with commas, of numbers > 0");
    }
    values.push_back(value);
  }
  return values;
}

}  // namespace

std::vector<double> parse_range(std::string_view text, const std::string& what) {
  if (text.empty()) return {};
  if (text.find(':') == std::string_view::npos) {
    std::vector<double> values = numbers(text, ',', what);
    for (const double value : values) {
      if (std::ranges::count(values, value) > 1) refuse(text, what, "each value once");
    }
    if (values.size() > most_values) refuse(text, what, "at most 1000 values");
    return values;
  }
  const std::vector<double> ends = numbers(text, ':', what);
  if (ends.size() != 3) refuse(text, what, "from:to:step, three numbers");
  const double from = ends[0], to = ends[1], step = ends[2];
  if (to < from) refuse(text, what, "from:to:step with an end not below its beginning");
  const double steps = (to - from) / step + 1e-6;
  if (steps >= static_cast<double>(most_values)) refuse(text, what, "at most 1000 values");
  std::vector<double> values;
  for (int i = 0; i <= static_cast<int>(steps); ++i) values.push_back(from + i * step);
  return values;
}

std::vector<std::int64_t> parse_whole_range(std::string_view text, const std::string& what) {
  std::vector<std::int64_t> whole;
  for (const double value : parse_range(text, what)) {
    if (value != std::floor(value) || value > 1e6) {
      refuse(text, what, "whole numbers up to 1000000");
    }
    whole.push_back(static_cast<std::int64_t>(value));
  }
  return whole;
}

}  // namespace hac
