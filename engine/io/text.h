#pragma once
// Text for people: messages, and help where they mistype a name.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hac {

// The name with the smallest edit distance (insertions, deletions and replacements), the earlier
// one of equals; "" for no names.
std::string nearest(std::string_view text, const std::vector<std::string>& names);

// Whatever file names and messages hold: control characters become spaces, none at the end.
std::string one_line(std::string text);

// Bytes that are not UTF-8 become U+FFFD: names of files and folders may hold any.
std::string utf8(const std::string& bytes);

struct Unit {
  std::string_view suffix;
  double times = 1;
};
// "1.5MiB": the number, times its unit, and the suffix. Nothing for anything else, and for what is
// not finite and positive.
std::optional<std::pair<double, std::string_view>> parse_quantity(std::string_view text,
                                                                  std::span<const Unit> units);

}  // namespace hac
