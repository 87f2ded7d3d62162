#include "data/preprocessing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "data/decode.h"
#include "data/transform.h"
#include "engine/text.h"
#include "kernels/error.h"

namespace hac {
namespace {

std::int64_t cropped_side(const Preprocessing& p) { return p.resolution - 2 * p.border; }

std::int64_t resized_side(const Preprocessing& p) {
  return static_cast<std::int64_t>(static_cast<double>(cropped_side(p)) / p.crop_pct);
}

// border < 0 takes it away.
Sample with_border(const Sample& image, std::int64_t border) {
  if (border == 0) return image;
  Sample out{image.channels, image.height + 2 * border, image.width + 2 * border, {}, image.label};
  out.pixels.resize(out.channels * out.height * out.width, 0);
  const std::int64_t rows = std::min(image.height, out.height);
  const std::int64_t width = std::min(image.width, out.width);
  const std::int64_t from = std::max<std::int64_t>(-border, 0),
                     to = std::max<std::int64_t>(border, 0);
  for (std::int64_t row = 0; row < image.channels * rows; ++row) {
    const std::int64_t c = row / rows, y = row % rows;
    std::copy_n(image.pixels.begin() + (c * image.height + y + from) * image.width + from, width,
                out.pixels.begin() + (c * out.height + y + to) * out.width + to);
  }
  return out;
}

// A set in which images, statistics and labels are replaced.
class Adapted final : public Dataset {
 public:
  Adapted(DatasetPtr set, Preprocessing preprocessing, std::vector<std::string> classes,
          std::vector<std::int32_t> label_of)
      : set_(std::move(set)),
        preprocessing_(std::move(preprocessing)),
        classes_(std::move(classes)),
        label_of_(std::move(label_of)) {
    Preprocessing own = set_->preprocessing();
    own.normalization = preprocessing_.normalization;
    as_it_is_ = own == preprocessing_;
  }

  std::int64_t size() const override { return set_->size(); }
  std::int32_t label(std::int64_t i) const override { return label_of_.at(set_->label(i)); }
  std::string identity(std::int64_t i) const override { return set_->identity(i); }
  std::int64_t channels() const override { return preprocessing_.channels; }
  std::int64_t resolution() const override { return preprocessing_.resolution; }
  const std::vector<std::string>& classes() const override { return classes_; }
  Normalization normalization() const override { return preprocessing_.normalization; }
  Preprocessing preprocessing() const override { return preprocessing_; }

  Sample get(std::int64_t i) const override {
    Sample sample = set_->get(i);
    if (!as_it_is_)
      sample = preprocess(with_border(sample, -set_->preprocessing().border), preprocessing_);
    sample.label = label_of_.at(sample.label);
    return sample;
  }

 private:
  DatasetPtr set_;
  Preprocessing preprocessing_;
  std::vector<std::string> classes_;
  std::vector<std::int32_t> label_of_;
  bool as_it_is_ = false;
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

void validate(const Preprocessing& p) {
  const auto require = [](bool ok, const char* field, const char* expected) {
    if (!ok) throw ConfigError(fmt::format("preprocessing '{}': expected {}", field, expected));
  };
  require(p.channels == 1 || p.channels == 3, "channels", "1 or 3");
  require(p.resolution >= 1 && p.resolution <= 65536, "resolution", "1 to 65536");
  require(p.border >= 0 && cropped_side(p) >= 1, "border", "0 to less than half the resolution");
  require(p.crop_pct > 0.01 && p.crop_pct <= 1, "crop_pct", "more than 0.01, at most 1");
  require(p.interpolation == "bilinear", "interpolation", "bilinear");
  for (int c = 0; c < 3; ++c) {
    require(std::isfinite(p.normalization.mean[c]), "mean", "finite numbers");
    require(std::isfinite(p.normalization.std[c]) && p.normalization.std[c] > 0, "std",
            "positive numbers");
  }
}

Sample preprocess(const Sample& image, const Preprocessing& p) {
  return with_border(fit(image, p.channels, cropped_side(p), resized_side(p)), p.border);
}

Sample read_preprocessed(const std::string& path, const Preprocessing& p) {
  return preprocess(read_image(path, {.shorter_side = resized_side(p)}), p);
}

DatasetPtr preprocessed(DatasetPtr set, const Preprocessing& preprocessing) {
  if (set->preprocessing() == preprocessing) return set;
  const std::vector<std::string> classes = set->classes();
  std::vector<std::int32_t> same(classes.size());
  for (std::size_t c = 0; c < same.size(); ++c) same[c] = static_cast<std::int32_t>(c);
  return std::make_shared<Adapted>(std::move(set), preprocessing, classes, std::move(same));
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
  const Preprocessing preprocessing = set->preprocessing();
  return std::make_shared<Adapted>(std::move(set), preprocessing, classes, std::move(label_of));
}

}  // namespace hac
