#include "data/datasets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data/cifar.h"
#include "data/idx.h"
#include "data/image_folder.h"
#include "data/image_set.h"
#include "data/synthetic.h"
#include "kernels/error.h"

namespace hac {
namespace {

struct Entry {
  const char* name;  // what follows a colon is the set's own business
  DataSplit (*open)(const DataConfig&);
};

constexpr Entry registry[] = {
    {"fashion-mnist", open_fashion_mnist},
    {"cifar10", [](const DataConfig& c) { return open_cifar(cifar10_layout(), c); }},
    {"cifar100", [](const DataConfig& c) { return open_cifar(cifar100_layout(), c); }},
    {"imagefolder", open_image_folder},
    {"synthetic", open_synthetic},
};

}  // namespace

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const Entry& entry : registry) names.emplace_back(entry.name);
  return names;
}

DataSplit open_data(const DataConfig& config) {
  if (config.bad_images != "error" && config.bad_images != "skip") {
    throw ConfigError(
        fmt::format("data 'bad_images': expected error or skip, got '{}'", config.bad_images));
  }
  const std::string name = config.name.substr(0, config.name.find(':'));
  for (const Entry& entry : registry) {
    if (name != entry.name) continue;
    DataSplit split = entry.open(config);
    return {limit_per_class(std::move(split.train), config.limit_train, "--limit-train"),
            limit_per_class(std::move(split.test), config.limit_test, "--limit-test"),
            std::move(split.notes)};
  }
  throw ConfigError(fmt::format("data '{}': unknown set; expected one of {}", config.name,
                                fmt::join(dataset_names(), ", ")));
}

}  // namespace hac
