#pragma once
// Text for people: messages, and help where they mistype a name.

#include <string>
#include <string_view>
#include <vector>

namespace hac {

// The name with the smallest edit distance (insertions, deletions and replacements), the earlier
// one of equals; "" for no names.
std::string nearest(std::string_view text, const std::vector<std::string>& names);

// Whatever file names and messages hold: control characters become spaces, none at the end.
std::string one_line(std::string text);

// Bytes that are not UTF-8 become U+FFFD: names of files and folders may hold any.
std::string utf8(const std::string& bytes);

}  // namespace hac
