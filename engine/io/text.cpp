#include "engine/io/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace hac {
namespace {

// Levenshtein distance.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);  // of the table, one row at a time
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(std::string_view text, const std::vector<std::string>& names) {
  text = text.substr(0, 100);  // the cost is quadratic
  const auto best = std::min_element(names.begin(), names.end(), [&](auto& a, auto& b) {
    return edit_distance(text, a) < edit_distance(text, b);
  });
  return best == names.end() ? "" : *best;
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 127) c = ' ';
  }
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string utf8(const std::string& bytes) {
  using nlohmann::json;
  return json::parse(json(bytes).dump(-1, ' ', false, json::error_handler_t::replace));
}

std::optional<std::pair<double, std::string_view>> parse_quantity(std::string_view text,
                                                                  std::span<const Unit> units) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  for (const Unit& unit : units) {
    const double value = number * unit.times;
    if (error == std::errc{} && suffix == unit.suffix && std::isfinite(value) && value > 0) {
      return std::pair(value, unit.suffix);
    }
  }
  return std::nullopt;
}

}  // namespace hac
