#pragma once
// An architecture as every command names one: a zoo name or a JSON file, and what to change of it.

#include <optional>
#include <string>
#include <vector>

#include "engine/io/fields.h"
#include "models/arch/architecture.h"

namespace hac {

struct ArchOptions {
  std::optional<double> width;       // multiplier of every width, multiples of 8
  std::vector<std::int64_t> widths;  // or each width; empty = unchanged
  std::vector<std::int64_t> blocks;  // units of each stage; empty = unchanged
  std::optional<double> depth;       // or a multiplier of their sum
  std::optional<std::int64_t> resolution;
  std::optional<std::int64_t> classes;
  std::optional<std::int64_t> in_channels;

  Fields fields() {
    return Fields()
        .add("width", width, "multiply every width, rounded to multiples of 8")
        .add("widths", widths, "the width of every convolution", {.omit = widths.empty()})
        .add("blocks", blocks, "units of each stage", {.omit = blocks.empty()})
        .add("depth", depth, "multiply the number of units")
        .add("resolution", resolution, "height and width of the input")
        .add("classes", classes, "number of outputs")
        .add("in_channels", in_channels, "channels of the input");
  }
};

// Reads a file if the name ends in .json or holds a '/', else asks the zoo. Depth comes before
// width, so `widths` counts the new layers. The result validates. Throws ConfigError (unknown name,
// options that exclude each other or do not fit), IoError.
Architecture resolve(const std::string& name_or_json_path, const ArchOptions& options = {});

}  // namespace hac
