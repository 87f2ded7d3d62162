#include "data/sets/derived_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "engine/io/text.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

// As the set that it holds.
class Derived : public Dataset {
 public:
  explicit Derived(DatasetPtr set) : set_(std::move(set)) {}
  std::int64_t size() const override { return set_->size(); }
  StoredImage read(std::int64_t i) const override { return set_->read(i); }
  std::int32_t label(std::int64_t i) const override { return set_->label(i); }
  std::string identity(std::int64_t i) const override { return set_->identity(i); }
  const std::vector<std::string>& classes() const override { return set_->classes(); }
  const Preprocessing& preprocessing() const override { return set_->preprocessing(); }

 protected:
  DatasetPtr set_;
};

class Subset final : public Derived {
 public:
  Subset(DatasetPtr set, std::vector<std::int64_t> indices)
      : Derived(std::move(set)), indices_(std::move(indices)) {}
  std::int64_t size() const override { return std::ssize(indices_); }
  StoredImage read(std::int64_t i) const override { return set_->read(indices_.at(i)); }
  std::int32_t label(std::int64_t i) const override { return set_->label(indices_.at(i)); }
  std::string identity(std::int64_t i) const override { return set_->identity(indices_.at(i)); }

 private:
  std::vector<std::int64_t> indices_;
};

class Preprocessed final : public Derived {
 public:
  Preprocessed(DatasetPtr set, Preprocessing preprocessing)
      : Derived(std::move(set)), preprocessing_(std::move(preprocessing)) {}
  const Preprocessing& preprocessing() const override { return preprocessing_; }

 private:
  Preprocessing preprocessing_;
};

class Relabelled final : public Derived {
 public:
  Relabelled(DatasetPtr set, std::vector<std::string> classes, std::vector<std::int32_t> label_of)
      : Derived(std::move(set)), classes_(std::move(classes)), label_of_(std::move(label_of)) {}
  std::int32_t label(std::int64_t i) const override { return label_of_.at(set_->label(i)); }
  const std::vector<std::string>& classes() const override { return classes_; }

 private:
  std::vector<std::string> classes_;
  std::vector<std::int32_t> label_of_;
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
  return std::make_shared<Subset>(std::move(set), std::move(indices));
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
  return std::make_shared<Preprocessed>(std::move(set), preprocessing);
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
  return std::make_shared<Relabelled>(std::move(set), classes, std::move(label_of));
}

}  // namespace hac
