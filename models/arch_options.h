#pragma once
// An architecture as every command names one: a zoo name or a JSON file, and what to change of it.

#include <optional>
#include <string>
#include <vector>

#include "models/architecture.h"

namespace hac {

struct ArchOptions {
  std::optional<double> width;       // multiplier of every width, multiples of 8
  std::vector<std::int64_t> widths;  // or each width; empty = unchanged
  std::vector<std::int64_t> blocks;  // units of each stage; empty = unchanged
  std::optional<double> depth;       // or a multiplier of their sum
  std::optional<std::int64_t> resolution;
  std::optional<std::int64_t> classes;
  std::optional<std::int64_t> in_channels;
};

// Reads a file if the name ends in .json or holds a '/', else asks the zoo. Depth comes before
// width, so `widths` counts the new layers. The result validates. Throws ConfigError (unknown name,
// options that exclude each other or do not fit), IoError.
Architecture resolve(const std::string& name_or_json_path, const ArchOptions& options = {});

}  // namespace hac
