#pragma once
// Fashion-MNIST (Xiao, Rasul, Vollgraf 2017) and its file format idx: a magic number 00 00 08 RANK,
// the sizes as big-endian 32-bit integers, then the bytes.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hac {

struct Idx {
  std::vector<std::int64_t> shape;
  std::string_view bytes;  // into what was parsed
};

// Throws IoError, naming `where`, unless `bytes` is exactly one idx array of uint8 with this rank.
Idx parse_idx(std::string_view bytes, int rank, const std::string& where);

}  // namespace hac
