#pragma once
// Help for people who mistype a name.

#include <string>
#include <string_view>
#include <vector>

namespace hac {

// The name with the smallest edit distance (insertions, deletions and replacements), the earlier
// one of equals; "" for no names.
std::string nearest(std::string_view text, const std::vector<std::string>& names);

}  // namespace hac
