#include "models/zoo/zoo.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "models/zoo/families.h"

namespace hac {
namespace {

constexpr std::string_view kMobileNet = "mobilenet_v2";

// mobilenet_v2, or behind it the percent of its width in three digits: mobilenet_v2_035.
Architecture mobilenet_v2_by_name(const std::string& name,
                                  const std::vector<std::int64_t>& stages) {
  const std::string percent = name.substr(std::min(name.size(), std::size(kMobileNet) + 1));
  return mobilenet_v2(name, stages, percent.empty() ? 1 : std::stoi(percent) / 100.0);
}

bool is_mobilenet_v2(const std::string& name) {
  const std::size_t digits = std::size(kMobileNet) + 1;
  return name.size() == digits + 3 && name.starts_with(kMobileNet) && name[digits - 1] == '_' &&
         std::all_of(name.begin() + digits, name.end(),
                     [](char c) { return c >= '0' && c <= '9'; }) &&
         name.substr(digits) >= "010";
}

constexpr struct Entry {
  const char* name;
  Architecture (*family)(const std::string& name, const std::vector<std::int64_t>& stages);
  std::int64_t stages[8];  // units of each, as many as there are
} entries[] = {
    {"vgg11", vgg, {1, 1, 2, 2, 2}},
    {"vgg13", vgg, {2, 2, 2, 2, 2}},
    {"vgg16", vgg, {2, 2, 3, 3, 3}},
    {"vgg19", vgg, {2, 2, 4, 4, 4}},
    {"preact_resnet18", preact_resnet, {2, 2, 2, 2}},
    {"preact_resnet34", preact_resnet, {3, 4, 6, 3}},
    {"resnet18", resnet, {2, 2, 2, 2}},
    {"resnet34", resnet, {3, 4, 6, 3}},
    {"resnet50", resnet_bottleneck, {3, 4, 6, 3}},
    {"resnet20", resnet_cifar, {3, 3, 3}},
    {"resnet32", resnet_cifar, {5, 5, 5}},
    {"resnet56", resnet_cifar, {9, 9, 9}},
    {"mobilenet_v2", mobilenet_v2_by_name, {1, 2, 3, 4, 3, 3, 1}},
    {"mobilenet_v2_035", mobilenet_v2_by_name, {1, 2, 3, 4, 3, 3, 1}},
    {"mobilenet_v2_050", mobilenet_v2_by_name, {1, 2, 3, 4, 3, 3, 1}},
    {"mobilenet_v2_075", mobilenet_v2_by_name, {1, 2, 3, 4, 3, 3, 1}},
    {"mobilenet_v2_140", mobilenet_v2_by_name, {1, 2, 3, 4, 3, 3, 1}},
    {"efficientnet_b0", efficientnet, {1, 2, 2, 3, 3, 4, 1}},
};

}  // namespace

std::vector<std::string> zoo_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.push_back(entry.name);
  return names;
}

Architecture zoo(const std::string& name) {
  for (const Entry& entry : entries) {
    const bool any_width = entry.name == kMobileNet && is_mobilenet_v2(name);
    if (name != entry.name && !any_width) continue;
    return entry.family(name, {entry.stages, std::find(entry.stages, std::end(entry.stages), 0)});
  }
  const auto names = zoo_names();
  const std::string shown = name.substr(0, 100);
  throw ConfigError(fmt::format("model '{}': expected one of {} (hint: did you mean {}?)", shown,
                                fmt::join(names, ", "), nearest(shown, names)));
}

}  // namespace hac
