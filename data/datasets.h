#pragma once
// The registry: a name on the command line -> train and test sets.

#include <string>

#include "data/dataset.h"

namespace hac {

struct DataConfig {
  // fashion-mnist | cifar10 | cifar100 | imagefolder:DIR | synthetic
  std::string name = "fashion-mnist";
  std::string dir;               // empty: the set's default place
  std::int64_t limit_train = 0;  // 0 = all; else the first N, equally many of each class
  std::int64_t limit_test = 0;
  std::int64_t resolution = 0;  // native size for imagefolder (default 224) and synthetic (32)
  std::int64_t classes = 0;     // synthetic only (default 10)
  bool operator==(const DataConfig&) const = default;
};

struct DataSplit {
  DatasetPtr train, test;
};

// Throws ConfigError (unknown name, with the known ones), IoError (missing, cut or malformed files:
// what, where, expected, got, and how to get the set).
DataSplit open_data(const DataConfig& config);
std::vector<std::string> dataset_names();

}  // namespace hac
