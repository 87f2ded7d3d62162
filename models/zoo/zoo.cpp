#include "models/zoo/zoo.h"

#include <fmt/format.h>

#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "models/zoo/families.h"

namespace hac {
namespace {

struct Entry {
  const char* name;
  Architecture (*build)(const std::string& name);
};

constexpr Entry entries[] = {
    {"vgg11",
     [](const std::string& n) {
       return vgg(n, {1, 1, 2, 2, 2});
     }},
    {"vgg13",
     [](const std::string& n) {
       return vgg(n, {2, 2, 2, 2, 2});
     }},
    {"vgg16",
     [](const std::string& n) {
       return vgg(n, {2, 2, 3, 3, 3});
     }},
    {"vgg19",
     [](const std::string& n) {
       return vgg(n, {2, 2, 4, 4, 4});
     }},
    {"preact_resnet18",
     [](const std::string& n) {
       return preact_resnet(n, {2, 2, 2, 2});
     }},
    {"preact_resnet34",
     [](const std::string& n) {
       return preact_resnet(n, {3, 4, 6, 3});
     }},
    {"resnet18",
     [](const std::string& n) {
       return resnet(n, {2, 2, 2, 2});
     }},
    {"resnet34",
     [](const std::string& n) {
       return resnet(n, {3, 4, 6, 3});
     }},
    {"resnet20", [](const std::string& n) { return resnet_cifar(n, 3); }},
    {"resnet32", [](const std::string& n) { return resnet_cifar(n, 5); }},
    {"resnet56", [](const std::string& n) { return resnet_cifar(n, 9); }},
};

}  // namespace

std::vector<std::string> zoo_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.push_back(entry.name);
  return names;
}

Architecture zoo(const std::string& name) {
  for (const Entry& entry : entries) {
    if (name == entry.name) return entry.build(name);
  }
  const auto names = zoo_names();
  const std::string shown = name.substr(0, 100);
  throw ConfigError(fmt::format("model '{}': expected one of {} (hint: did you mean {}?)", shown,
                                fmt::join(names, ", "), nearest(shown, names)));
}

}  // namespace hac
