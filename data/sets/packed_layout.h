#pragma once
// The bytes of a packed file (packed_file.h says how they follow each other), for what writes and
// what reads it.

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "data/sets/gzip.h"
#include "data/sets/packed_file.h"

namespace hac::packed {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t alignment = 64;
constexpr std::uint32_t version = 1;
constexpr char entry_magic[] = {'i', 'm', 'g', ':'};
constexpr std::string_view header_magic = "hacpack\n", footer_magic = "hacpend\n";

constexpr std::uint64_t aligned(std::uint64_t n) {
  return (n + alignment - 1) / alignment * alignment;
}

struct Header {
  char magic[8];
  std::uint32_t version, about_crc;
  std::uint64_t about_bytes;
  std::uint64_t zero[5];
};
static_assert(sizeof(Header) == alignment);

struct Footer {
  char magic[8];
  std::uint32_t crc;  // of all that follows in this struct
  std::uint32_t index_crc;
  std::uint64_t index_at, entries, file_bytes;
  std::uint64_t zero[3];
};
static_assert(sizeof(Footer) == alignment);

template <class T>
std::string_view bytes_of(const T& x) {
  return {reinterpret_cast<const char*>(&x), sizeof x};
}
inline std::uint32_t crc_of(const PackedEntry& e) { return crc32_of(bytes_of(e).substr(8)); }
inline std::uint32_t crc_of(const Footer& f) { return crc32_of(bytes_of(f).substr(12)); }

inline std::uint64_t bytes_at(const PackedEntry& e) {
  return aligned(e.at + sizeof e + e.name_bytes);
}
inline std::uint64_t end_of(const PackedEntry& e) { return aligned(bytes_at(e) + e.bytes); }

// Whether its figures are those of an image in [0, end), without overflow.
inline bool fits(const PackedEntry& e, std::uint64_t end) {
  return e.at % alignment == 0 && e.at <= end && e.name_bytes <= end && e.bytes <= end &&
         end <= UINT64_MAX / 8 && end_of(e) <= end;
}

}  // namespace hac::packed
