#include "models/train/hub_config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/io/file.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

template <class Kind>
std::string first_name(const Architecture& arch) {
  for (const Layer& layer : arch.layers) {
    if (const auto* found = std::get_if<Kind>(&layer)) return found->name;
  }
  return "";
}

// A network of one channel has the first of three.
ordered_json of_channels(const std::array<float, 3>& values, std::int64_t channels) {
  ordered_json list = ordered_json::array();
  for (std::int64_t c = 0; c < channels; ++c) {
    list.push_back(
        ordered_json::parse(fmt::format("{}", values.at(c))));  // a float's shortest digits
  }
  return list;
}

std::array<float, 3> channels_of(const json& list) {
  if (list.size() != 1 && list.size() != 3) {
    throw IoError(fmt::format("expected 1 or 3 channels, got {}", list.size()));
  }
  std::array<float, 3> values;
  for (std::size_t c = 0; c < 3; ++c) values[c] = list.at(list.size() == 1 ? 0 : c);
  return values;
}

Preprocessing preprocessing_from(const json& j) {
  Preprocessing p;
  p.channels = j.at("input_size").at(0);
  p.resolution = j.at("input_size").at(1);
  p.border = j.value("border", p.border);
  p.crop_pct = j.value("crop_pct", p.crop_pct);
  p.normalization = {.mean = channels_of(j.at("mean")), .std = channels_of(j.at("std"))};
  validate(p);
  return p;
}

}  // namespace

std::string hub_config(const Architecture& arch, const TrainedOn& data) {
  const Preprocessing& p = data.preprocessing;
  ordered_json cfg{{"input_size", {arch.channels, arch.resolution, arch.resolution}},
                   {"fixed_input_size", false},
                   {"interpolation", p.interpolation},
                   {"crop_pct", p.crop_pct},
                   {"crop_mode", "center"},
                   {"mean", of_channels(p.normalization.mean, p.channels)},
                   {"std", of_channels(p.normalization.std, p.channels)},
                   {"num_classes", arch.classes},
                   {"first_conv", first_name<Conv>(arch)},
                   {"classifier", first_name<Linear>(arch)}};
  if (p.border > 0) cfg["border"] = p.border;
  const ordered_json config{{"architecture", arch.name},
                            {"num_classes", arch.classes},
                            {"label_names", data.classes},
                            {"pretrained_cfg", cfg}};
  return config.dump(2) + "\n";
}

HubConfig load_hub_config(const std::string& path) {
  const std::string text = read_file(path);
  try {
    const json j = json::parse(text);
    HubConfig config{.architecture = j.value("architecture", ""),
                     .classes = j.value("num_classes", std::int64_t{0}),
                     .label_names = j.value("label_names", std::vector<std::string>{})};
    if (j.contains("pretrained_cfg") && j["pretrained_cfg"].contains("input_size")) {
      config.preprocessing = preprocessing_from(j["pretrained_cfg"]);
      config.interpolation = j["pretrained_cfg"].value("interpolation", config.interpolation);
    }
    return config;
  } catch (const json::exception& e) {
    throw IoError(fmt::format("'{}': {}", path, e.what()));
  } catch (const Error& e) {
    throw IoError(fmt::format("'{}': {}", path, e.what()));
  }
}

}  // namespace hac
