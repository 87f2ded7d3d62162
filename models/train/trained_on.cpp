#include "models/train/trained_on.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/sets/derived_set.h"
#include "engine/io/text.h"
#include "engine/tensor/hash.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

using nlohmann::json;
using Metadata = std::map<std::string, std::string>;

std::vector<ClassImages> images_by_class(const Dataset& set) {
  std::vector<std::uint64_t> hashes(set.classes().size());
  std::vector<ClassImages> by_class(hashes.size());
  for (std::int64_t i = 0; i < set.size(); ++i) {
    const std::int32_t c = set.label(i);
    ++by_class.at(c).images;
    hashes[c] = fnv1a(fmt::format("{:016x} {}", hashes[c], set.identity(i)));
  }
  for (std::size_t c = 0; c < hashes.size(); ++c)
    by_class[c].key = fmt::format("{:016x}", hashes[c]);
  return by_class;
}

json to_json(const std::vector<ClassImages>& by_class) {
  json list = json::array();
  for (const ClassImages& c : by_class) list.push_back({c.images, c.key});
  return list;
}

std::vector<ClassImages> images_from(const json& list) {
  std::vector<ClassImages> by_class;
  for (const json& c : list) by_class.push_back({.images = c.at(0), .key = c.at(1)});
  return by_class;
}

// Fields that a file lacks are as the program was before it wrote them.
Preprocessing preprocessing_from(const json& j) {
  Preprocessing p{.channels = j.at("channels"),
                  .resolution = j.at("resolution"),
                  .border = j.value("border", j.at("data") == "fashion-mnist" ? 2 : 0),
                  .crop_pct = j.value("crop_pct", 1.0),
                  .interpolation = j.value("interpolation", "bilinear"),
                  .normalization = {.mean = j.at("mean"), .std = j.at("std")}};
  validate(p);
  return p;
}

void require_same_images(const std::string& path, const char* which, const TrainedOn& is,
                         const std::vector<ClassImages>& was, const std::vector<ClassImages>& now) {
  const auto total = [](const std::vector<ClassImages>& by_class) {
    std::int64_t n = 0;
    for (const ClassImages& c : by_class) n += c.images;
    return n;
  };
  for (std::size_t c = 0; c < now.size() && was.size() == now.size(); ++c) {
    if (was[c] == now[c]) continue;
    const std::string difference =
        was[c].images == now[c].images
            ? fmt::format("the {} of class '{}' have other names, sizes or pixels", now[c].images,
                          is.classes[c])
            : fmt::format("class '{}' has {}, had {}", is.classes[c], now[c].images, was[c].images);
    throw ConfigError(fmt::format(
        "resume '{}': {} images are not those that it was trained with: {}, {} then; first "
        "difference: {} (hint: the same images, or another --out)",
        path, which, total(now), total(was), difference));
  }
}

}  // namespace

TrainedOn trained_on(const DataSplit& data, const std::string& name) {
  TrainedOn t{.data = utf8(name),
              .preprocessing = data.train->preprocessing(),
              .train = images_by_class(*data.train),
              .test = images_by_class(*data.test)};
  if (data.validation) t.validation = images_by_class(*data.validation);
  for (const std::string& class_name : data.train->classes()) t.classes.push_back(utf8(class_name));
  return t;
}

Metadata to_metadata(const TrainedOn& t) {
  const Preprocessing& p = t.preprocessing;
  const json preprocess{{"data", t.data},
                        {"channels", p.channels},
                        {"resolution", p.resolution},
                        {"border", p.border},
                        {"crop_pct", p.crop_pct},
                        {"interpolation", p.interpolation},
                        {"mean", p.normalization.mean},
                        {"std", p.normalization.std}};
  Metadata all{{"preprocess", preprocess.dump()}, {"classes", json(t.classes).dump()}};
  if (t.train.empty()) return all;
  json images{{"train", to_json(t.train)}, {"test", to_json(t.test)}};
  if (!t.validation.empty()) images["validation"] = to_json(t.validation);
  all["images"] = images.dump();
  return all;
}

std::optional<TrainedOn> trained_on(const Metadata& metadata, const std::string& path) {
  const auto preprocess = metadata.find("preprocess"), classes = metadata.find("classes"),
             images = metadata.find("images");
  if (preprocess == metadata.end()) return std::nullopt;
  try {
    const json j = json::parse(preprocess->second);
    TrainedOn t{.data = j.at("data"), .preprocessing = preprocessing_from(j)};
    if (classes == metadata.end()) throw IoError("no 'classes' in its metadata");
    t.classes = json::parse(classes->second);
    if (images != metadata.end()) {
      const json by_class = json::parse(images->second);
      t.train = images_from(by_class.at("train"));
      t.test = images_from(by_class.at("test"));
      if (by_class.contains("validation")) t.validation = images_from(by_class["validation"]);
      for (const auto* part : {&t.train, &t.test, &t.validation}) {
        if (part->size() == t.classes.size() || (part == &t.validation && part->empty())) continue;
        throw IoError("its 'images' are not of its classes");
      }
    }
    return t;
  } catch (const std::exception& e) {  // of JSON, of a field, or from above
    throw IoError(fmt::format("checkpoint '{}': what it says of its data: {}", path, e.what()));
  }
}

void require_fits(const TrainedOn& data, const Architecture& arch) {
  const std::int64_t channels = data.preprocessing.channels;
  if (arch.channels == channels && arch.classes == std::ssize(data.classes)) return;
  throw ConfigError(
      fmt::format("its network has {} channels and {} classes, its preprocessing {} and {}",
                  arch.channels, arch.classes, channels, data.classes.size()));
}

void require_same_data(const std::string& path, const TrainedOn& was, const TrainedOn& is) {
  const std::size_t then = was.classes.size(), now = is.classes.size();
  for (std::size_t c = 0; c < std::max(then, now); ++c) {
    const std::string before = c < then ? was.classes[c] : "", after = c < now ? is.classes[c] : "";
    if (before == after) continue;
    throw ConfigError(fmt::format(
        "resume '{}': the classes are not those that it was trained with: {}, {} then; first "
        "difference: number {} is '{}', was '{}' (hint: the same names, or another --out)",
        path, now, then, c, after, before));
  }
  require_same_images(path, "training", is, was.train, is.train);
  require_same_images(path, "test", is, was.test, is.test);
  require_same_images(path, "validation", is, was.validation, is.validation);
}

DataSplit open_data_for(const std::optional<TrainedOn>& trained, const std::string& path,
                        DataConfig& config, Parts parts) {
  if (!trained) {
    if (config.name.empty()) {
      throw IoError(
          fmt::format("checkpoint '{}': no 'preprocess' in its metadata (hint: --data SET)", path));
    }
    DataSplit data = open_data(config, parts);
    data.notes.push_back(
        "the checkpoint does not say how its images were prepared and its classes called: the "
        "set's own statistics and order of classes serve");
    return data;
  }
  Preprocessing p = trained->preprocessing;
  if (config.name.empty()) config.name = trained->data;
  if (config.name.empty()) {
    throw IoError(fmt::format(
        "checkpoint '{}': does not say what it was trained on (hint: --data SET)", path));
  }
  const DatasetInfo info = dataset_info(config.name);
  if (config.resolution == 0 && info.any_resolution) config.resolution = p.resolution;
  if (config.resolution != 0) p.resolution = config.resolution;
  if (info.any_classes && config.classes == 0) config.classes = std::ssize(trained->classes);
  config.preprocessing = p;
  DataSplit data = open_data(config, parts);
  for (DatasetPtr* part : {&data.train, &data.test}) {
    if (!*part) continue;
    const DatasetPtr before = *part;
    *part = relabelled(before, trained->classes, config.name);
    if (*part != before && part == &data.test) {
      data.notes.push_back("its classes are in another order than the network's: taken by name");
    }
  }
  return data;
}

}  // namespace hac
