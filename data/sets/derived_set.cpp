#include "data/sets/derived_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "engine/io/text.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

// Another set but for what is given.
struct Changes {
  std::optional<std::vector<std::int64_t>> indices = {};  // the images that it has
  std::optional<Preprocessing> preprocessing = {};
  std::optional<std::vector<std::string>> classes = {};
  std::vector<std::int32_t> label_of = {};  // with classes: of each label
};

class Derived final : public Dataset {
 public:
  Derived(DatasetPtr set, Changes changes) : set_(std::move(set)), changed_(std::move(changes)) {}
  std::int64_t size() const override {
    return changed_.indices ? std::ssize(*changed_.indices) : set_->size();
  }
  StoredImage read(std::int64_t i) const override { return set_->read(index(i)); }
  std::int32_t label(std::int64_t i) const override {
    const std::int32_t label = set_->label(index(i));
    return changed_.classes ? changed_.label_of.at(label) : label;
  }
  std::string name(std::int64_t i) const override { return set_->name(index(i)); }
  std::string identity(std::int64_t i) const override { return set_->identity(index(i)); }
  const std::vector<std::string>& classes() const override {
    return changed_.classes ? *changed_.classes : set_->classes();
  }
  const Preprocessing& preprocessing() const override {
    return changed_.preprocessing ? *changed_.preprocessing : set_->preprocessing();
  }

 private:
  std::int64_t index(std::int64_t i) const {
    return changed_.indices ? changed_.indices->at(i) : i;
  }

  const DatasetPtr set_;
  const Changes changed_;
};

std::vector<std::string> as_utf8(const std::vector<std::string>& names) {
  std::vector<std::string> texts;
  for (const std::string& name : names) texts.push_back(utf8(name));
  return texts;
}

// The first name that only one of the two has; "" if none.
std::string first_missing(const std::vector<std::string>& names,
                          const std::vector<std::string>& from) {
  const std::set<std::string> there(from.begin(), from.end());
  const auto it = std::find_if(names.begin(), names.end(),
                               [&](const std::string& name) { return !there.contains(name); });
  return it == names.end() ? "" : *it;
}

}  // namespace

DatasetPtr subset(DatasetPtr set, std::vector<std::int64_t> indices) {
  for (const std::int64_t i : indices) {
    if (i < 0 || i >= set->size()) {
      throw ShapeError(fmt::format("subset: index {} of a set of {} images", i, set->size()));
    }
  }
  return std::make_shared<Derived>(std::move(set), Changes{.indices = std::move(indices)});
}

DatasetPtr limit_per_class(DatasetPtr set, std::int64_t n, const std::string& option) {
  if (n == 0) return set;
  const std::int64_t classes = std::ssize(set->classes());
  if (n < classes) {
    throw ConfigError(
        fmt::format("{} {}: expected 0 (all) or at least one image for each of the {} classes",
                    option, n, classes));
  }
  const std::int64_t each = n / classes;
  std::vector<std::int64_t> taken(classes, 0), indices;
  for (std::int64_t i = 0; i < set->size() && std::ssize(indices) < each * classes; ++i) {
    std::int64_t& count = taken[set->label(i)];
    if (count == each) continue;
    ++count;
    indices.push_back(i);
  }
  for (std::int64_t c = 0; c < classes; ++c) {
    if (taken[c] < each) {
      throw ConfigError(fmt::format("{} {}: expected {} images of each class, class '{}' has {}",
                                    option, n, each, set->classes()[c], taken[c]));
    }
  }
  return subset(std::move(set), std::move(indices));
}

DatasetPtr preprocessed(DatasetPtr set, const Preprocessing& preprocessing) {
  if (set->preprocessing() == preprocessing) return set;
  return std::make_shared<Derived>(std::move(set), Changes{.preprocessing = preprocessing});
}

DatasetPtr relabelled(DatasetPtr set, const std::vector<std::string>& classes,
                      const std::string& name) {
  const std::vector<std::string> own = as_utf8(set->classes()), wanted = as_utf8(classes);
  if (own == wanted) return set;
  const std::string lacking = first_missing(wanted, own), strange = first_missing(own, wanted);
  const std::set<std::string> different(own.begin(), own.end());
  if (!lacking.empty() || !strange.empty() || different.size() != own.size() ||
      own.size() != wanted.size()) {
    throw ConfigError(fmt::format(
        "data '{}': its {} classes are not the {} that the network was trained with{}{}", name,
        own.size(), wanted.size(), lacking.empty() ? "" : fmt::format(": '{}' is missing", lacking),
        strange.empty() ? ""
                        : fmt::format("{} '{}' is unknown to the network",
                                      lacking.empty() ? ":" : ";", strange)));
  }
  std::vector<std::int32_t> label_of;
  for (const std::string& class_name : own) {
    const auto at = std::find(wanted.begin(), wanted.end(), class_name);
    label_of.push_back(static_cast<std::int32_t>(at - wanted.begin()));
  }
  return std::make_shared<Derived>(std::move(set),
                                   Changes{.classes = classes, .label_of = std::move(label_of)});
}

}  // namespace hac
