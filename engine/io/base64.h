#pragma once
// Bytes as text (RFC 4648, section 4), for images within a page.

#include <string>
#include <string_view>

namespace hac {

std::string base64(std::string_view bytes);

}  // namespace hac
