#pragma once
// What a Preprocessing (data/dataset.h) does. A checkpoint has the one that it was trained with,
// and train, eval and infer use it alike: the same file gives the same pixels.

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace hac {

// Throws ConfigError naming the field.
void validate(const Preprocessing& preprocessing);

// Any image -> (channels, resolution, resolution). Throws ShapeError as fit() does.
Sample preprocess(const Sample& image, const Preprocessing& preprocessing);
// The same from a file; a JPEG is decoded no larger than it must be. Throws IoError.
Sample read_preprocessed(const std::string& path, const Preprocessing& preprocessing);

// The set with its images, and their statistics, as `preprocessing` wants them.
DatasetPtr preprocessed(DatasetPtr set, const Preprocessing& preprocessing);

// The set with its labels as those of `classes`, by name. Throws ConfigError, calling the set
// `name`, unless it has the same names, in any order.
DatasetPtr relabelled(DatasetPtr set, const std::vector<std::string>& classes,
                      const std::string& name);

}  // namespace hac
