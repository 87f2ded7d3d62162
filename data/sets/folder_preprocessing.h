#pragma once
// How photographs are prepared that come in any size.

#include <string>

#include "data/image/preprocessing.h"
#include "data/sets/datasets.h"

namespace hac {

// config.preprocessing, else ImageNet's statistics and config.resolution (default 224). Throws
// ConfigError, naming the set.
Preprocessing folder_preprocessing(const DataConfig& config, const std::string& set);

}  // namespace hac
