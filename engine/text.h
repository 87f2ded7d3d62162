#pragma once
// Help for people who mistype a name.

#include <string>
#include <string_view>
#include <vector>

namespace hac {

// Levenshtein distance: insertions, deletions and replacements that turn one into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The name with the smallest distance, the earlier one of equals; "" for no names.
std::string nearest(std::string_view text, const std::vector<std::string>& names);

}  // namespace hac
