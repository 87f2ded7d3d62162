#pragma once
// Fashion-MNIST (Xiao, Rasul, Vollgraf 2017) and its file format idx: a magic number 00 00 08 RANK,
// the sizes as big-endian 32-bit integers, then the bytes.

#include <string>
#include <string_view>
#include <vector>

#include "data/sets/datasets.h"

namespace hac {

struct Idx {
  std::vector<std::int64_t> shape;
  std::string_view bytes;  // into what was parsed
};

// Throws IoError, naming `where`, unless `bytes` is exactly one idx array of uint8 with this rank.
Idx parse_idx(std::string_view bytes, int rank, const std::string& where);

// The four files {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or with .gz, of one folder.
// Images are 1x28x28; their preprocessing pads them with zeros to 32x32. Throws IoError.
DataSplit open_fashion_mnist(const DataConfig& config, Parts parts);

}  // namespace hac
