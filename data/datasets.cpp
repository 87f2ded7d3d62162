#include "data/datasets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data/cifar.h"
#include "data/derived_set.h"
#include "data/idx.h"
#include "data/image_folder.h"
#include "data/synthetic.h"
#include "kernels/error.h"

namespace hac {
namespace {

struct Entry {
  const char* name;  // what follows a colon is the set's own business
  DataSplit (*open)(const DataConfig&, Parts);
};

constexpr Entry registry[] = {
    {"fashion-mnist", open_fashion_mnist},
    {"cifar10", [](const DataConfig& c, Parts p) { return open_cifar(cifar10_layout(), c, p); }},
    {"cifar100", [](const DataConfig& c, Parts p) { return open_cifar(cifar100_layout(), c, p); }},
    {"imagefolder", open_image_folder},
    {"synthetic", open_synthetic},
};

}  // namespace

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const Entry& entry : registry) names.emplace_back(entry.name);
  return names;
}

DataSplit open_data(const DataConfig& config, Parts parts) {
  if (config.bad_images != "error" && config.bad_images != "skip") {
    throw ConfigError(
        fmt::format("data 'bad_images': expected error or skip, got '{}'", config.bad_images));
  }
  const std::string name = config.name.substr(0, config.name.find(':'));
  for (const Entry& entry : registry) {
    if (name != entry.name) continue;
    DataSplit split = entry.open(config, parts);
    const auto finish = [&](DatasetPtr& set, std::int64_t limit, const char* option) {
      if (!set) return;
      if (config.preprocessing) set = preprocessed(set, *config.preprocessing);
      set = limit_per_class(set, limit, option);
    };
    finish(split.train, config.limit_train, "--limit-train");
    finish(split.test, config.limit_test, "--limit-test");
    return split;
  }
  throw ConfigError(fmt::format("data '{}': unknown set; expected one of {}", config.name,
                                fmt::join(dataset_names(), ", ")));
}

}  // namespace hac
