#pragma once

#include <cstdint>
#include <string_view>

namespace hac {

// 64-bit FNV-1a (Fowler, Noll and Vo): names a content or a stream of random numbers; not for
// secrets.
constexpr std::uint64_t fnv1a(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

}  // namespace hac
