#pragma once
// gzip, bounded: a small file cannot fill the memory.

#include <cstdint>
#include <string>
#include <string_view>

namespace hac {

bool is_gzip(std::string_view bytes);

// Inflates a gzip stream of one or more members. Throws IoError, naming `where`: corrupt, cut,
// bytes after the end, or more than max_bytes.
std::string gunzip(std::string_view bytes, const std::string& where, std::uint64_t max_bytes);

}  // namespace hac
