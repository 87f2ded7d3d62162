// An Architecture as JSON, one layer a line:
//   {"name": "tiny", "channels": 3, "resolution": 32, "classes": 10, "stage_ends": [2],
//    "layers": [{"type": "conv", "name": "features.0", "out": 16, ...}, ...]}
// A missing field has its default; name, reduced, mid and out have none where 0 means nothing.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "models/arch/fields.h"

namespace hac {
namespace {

using Json = nlohmann::json;

constexpr const char* what = "architecture";
constexpr std::size_t max_bytes = std::size_t{8} << 20;

// The fields of a layer; their bounds are validate()'s. A name, reduced, mid and out have no
// default, where 0 means nothing.
template <class L>
Fields fields_of_layer(L& layer) {
  Fields fields;
  visit_fields(layer, [&](std::string_view key, auto& value, auto... bounds) {
    bool optional = key != "name" && key != "reduced" && key != "mid" && key != "out";
    if constexpr (sizeof...(bounds) == 2) {
      const std::int64_t low[] = {bounds...};
      optional = optional || low[0] == 0;
    }
    fields.add(key, value, {.optional = optional});
  });
  return fields;
}

Fields fields_of_header(Architecture& arch) {
  return Fields()
      .add("name", arch.name)
      .add("channels", arch.channels)
      .add("resolution", arch.resolution)
      .add("classes", arch.classes)
      .add("stage_ends", arch.stage_ends, {.optional = true});
}

template <std::size_t... I>
Layer default_layer(std::size_t index, std::index_sequence<I...>) {
  Layer layer;
  ((I == index ? void(layer.emplace<I>()) : void()), ...);
  return layer;
}

Layer layer_from_json(const Json& json, const std::string& path) {
  std::string type;
  if (json.is_object() && json.contains("type") && json["type"].is_string()) type = json["type"];
  if (type == "relu") type = "activation";  // as files of release 1 call it
  const int index = parse_name(layer_types, type, fmt::format("{} '{}.type'", what, path));
  Layer layer = default_layer(index, std::make_index_sequence<std::variant_size_v<Layer>>());
  bool relu = false;  // so too
  Fields fields = std::visit([](auto& l) { return fields_of_layer(l); }, layer);
  auto* norm = std::get_if<BatchNorm>(&layer);
  if (norm) fields.add("relu", relu, {.optional = true});
  read_json(json, fields, what, path, {.others = {"type"}});
  if (relu) norm->activation = Activation::relu;
  return layer;
}

std::string layer_json(Layer layer) {
  nlohmann::ordered_json json{{"type", layer_types[layer.index()]}};
  json.update(to_json(std::visit([](auto& l) { return fields_of_layer(l); }, layer)));
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

}  // namespace

std::string to_json(const Architecture& arch) {
  std::string text = fmt::format(
      "{{\n  \"name\": {},\n  \"channels\": {},\n  \"resolution\": {},\n  \"classes\": {},\n"
      "  \"stage_ends\": [{}],\n  \"layers\": [",
      Json(arch.name).dump(-1, ' ', true, Json::error_handler_t::replace), arch.channels,
      arch.resolution, arch.classes, fmt::join(arch.stage_ends, ", "));
  const char* separator = "\n    ";
  for (const Layer& layer : arch.layers) {
    text += separator + layer_json(layer);
    separator = ",\n    ";
  }
  return text + "\n  ]\n}\n";
}

Architecture architecture_from_json(const std::string& text) {
  if (text.size() > max_bytes) {
    throw ConfigError(
        fmt::format("{} 'JSON': expected at most {} bytes, got {}", what, max_bytes, text.size()));
  }
  const Json json = parse_json(text, what);
  Architecture arch;
  read_json(json, fields_of_header(arch), what, "", {.others = {"layers"}});
  const Json layers = json.value("layers", Json());
  if (!layers.is_array() || layers.size() > max_layers) {
    throw ConfigError(fmt::format("{} 'layers': expected a list of at most {} entries, got {}",
                                  what, max_layers, shown(layers)));
  }
  for (const Json& layer : layers) {
    arch.layers.push_back(layer_from_json(layer, fmt::format("layers[{}]", arch.layers.size())));
  }
  validate(arch);
  return arch;
}

Architecture load_architecture(const std::string& path) {
  const std::string text = read_file(path, max_bytes);
  try {
    return architecture_from_json(text);
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("{}: {}", path, error.what()));
  }
}

void save_architecture(const Architecture& arch, const std::string& path) {
  write_file_atomically(path, to_json(arch));
}

}  // namespace hac
