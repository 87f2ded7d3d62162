#include "data/sets/datasets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data/sets/derived_set.h"
#include "kernels/core/error.h"

namespace hac {

// In the order of --help. Each is a function of a file here that gives its row.
#define HAC_DATASETS(set) \
  set(fashion_mnist) set(cifar10) set(cifar100) set(image_folder) set(packed_images) set(synthetic)

#define HAC_DECLARE_DATASET(name) DatasetInfo name();
HAC_DATASETS(HAC_DECLARE_DATASET)
#undef HAC_DECLARE_DATASET

std::span<const DatasetInfo> datasets() {
#define HAC_DATASET_ROW(name) name(),
  static const DatasetInfo table[] = {HAC_DATASETS(HAC_DATASET_ROW)};
#undef HAC_DATASET_ROW
  return table;
}

std::string dataset_usage() {
  std::string text;
  for (const DatasetInfo& set : datasets()) {
    text += &set == &datasets().front() ? "" : &set == &datasets().back() ? " or " : ", ";
    text += fmt::format("{}{}", set.name, set.argument);
  }
  return text;
}

DatasetInfo dataset_info(std::string_view name) {
  name = name.substr(0, name.find(':'));
  for (const DatasetInfo& set : datasets()) {
    if (set.name == name) return set;
  }
  return {};
}

DataSplit open_data(const DataConfig& config, Parts parts) {
  check(fields_of(config), "data");
  const DatasetInfo info = dataset_info(config.name);
  if (!info.open) {
    std::vector<std::string_view> names;
    for (const DatasetInfo& set : datasets()) names.push_back(set.name);
    throw ConfigError(fmt::format("data '{}': unknown set; expected one of {}", config.name,
                                  fmt::join(names, ", ")));
  }
  DataSplit split = info.open(config, parts);
  const auto finish = [&](DatasetPtr& set, std::int64_t limit, const char* option) {
    if (!set) return;
    Preprocessing p = config.preprocessing.value_or(set->preprocessing());
    p.crop_pct = config.crop_pct.value_or(p.crop_pct);
    set = preprocessed(set, p);
    set = limit_per_class(set, limit, option);
  };
  finish(split.train, config.limit_train, "--limit-train");
  finish(split.test, config.limit_test, "--limit-test");
  return split;
}

}  // namespace hac
