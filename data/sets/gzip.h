#pragma once
// Files that may be compressed by gzip, and its checksum.

#include <cstdint>
#include <string>
#include <string_view>

namespace hac {

// A plain file, or what is in a gzip file of one or more members; what follows them is ignored, as
// gzip does. Throws IoError, naming the path: missing, unreadable, corrupt, cut, or more than
// max_bytes, which bounds the memory that a small file can ask for.
std::string read_gzip_file(const std::string& path, std::uint64_t max_bytes);

// CRC-32 of `before`'s bytes and then these.
std::uint32_t crc32_of(std::string_view bytes, std::uint32_t before = 0);

}  // namespace hac
