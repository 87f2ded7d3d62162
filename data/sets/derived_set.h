#pragma once
// Sets that show another one: fewer images, other classes, another preprocessing.

#include <cstdint>
#include <string>
#include <vector>

#include "data/sets/dataset.h"

namespace hac {

// The images `indices` of a set, in that order. Throws ShapeError for an index out of range.
DatasetPtr subset(DatasetPtr set, std::vector<std::int64_t> indices);

// The first floor(n / classes) images of each class, in file order; the set itself for n = 0.
// Throws ConfigError, naming `option`: n below the number of classes, or a class with fewer images.
DatasetPtr limit_per_class(DatasetPtr set, std::int64_t n, const std::string& option);

// The set with its images as `preprocessing` wants them.
DatasetPtr preprocessed(DatasetPtr set, const Preprocessing& preprocessing);

// The set with its labels as those of `classes`, by name. Throws ConfigError, calling the set
// `name`, unless it has the same names, in any order.
DatasetPtr relabelled(DatasetPtr set, const std::vector<std::string>& classes,
                      const std::string& name);

}  // namespace hac
