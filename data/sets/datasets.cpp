#include "data/sets/datasets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "data/sets/cifar.h"
#include "data/sets/derived_set.h"
#include "data/sets/fashion_mnist.h"
#include "data/sets/image_folder.h"
#include "data/sets/synthetic.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

constexpr bool has_place = true, any_resolution = true, any_classes = true;

template <CifarLayout (*layout)()>
DataSplit open(const DataConfig& config, Parts parts) {
  return open_cifar(layout(), config, parts);
}

constexpr DatasetInfo table[] = {
    {"fashion-mnist", "", open_fashion_mnist, has_place},
    {"cifar10", "", open<cifar10_layout>, has_place},
    {"cifar100", "", open<cifar100_layout>, has_place},
    {"imagefolder", ":DIR", open_image_folder, !has_place, any_resolution},
    {"synthetic", "", open_synthetic, !has_place, any_resolution, any_classes},
};

}  // namespace

std::span<const DatasetInfo> datasets() { return table; }

std::string dataset_usage() {
  std::string text;
  for (const DatasetInfo& set : table) {
    text += &set == table ? "" : &set + 1 == std::end(table) ? " or " : ", ";
    text += fmt::format("{}{}", set.name, set.argument);
  }
  return text;
}

DatasetInfo dataset_info(std::string_view name) {
  name = name.substr(0, name.find(':'));
  const auto found = std::find_if(std::begin(table), std::end(table),
                                  [&](const DatasetInfo& set) { return set.name == name; });
  return found == std::end(table) ? DatasetInfo{} : *found;
}

DataSplit open_data(const DataConfig& config, Parts parts) {
  check(fields_of(config), "data");
  const DatasetInfo info = dataset_info(config.name);
  if (!info.open) {
    std::vector<std::string_view> names;
    for (const DatasetInfo& set : table) names.push_back(set.name);
    throw ConfigError(fmt::format("data '{}': unknown set; expected one of {}", config.name,
                                  fmt::join(names, ", ")));
  }
  DataSplit split = info.open(config, parts);
  const auto finish = [&](DatasetPtr& set, std::int64_t limit, const char* option) {
    if (!set) return;
    if (config.preprocessing) set = preprocessed(set, *config.preprocessing);
    set = limit_per_class(set, limit, option);
  };
  finish(split.train, config.limit_train, "--limit-train");
  finish(split.test, config.limit_test, "--limit-test");
  return split;
}

}  // namespace hac
