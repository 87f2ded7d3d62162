// An Architecture as JSON, one layer a line:
//   {"name": "tiny", "channels": 3, "resolution": 32, "classes": 10, "stage_ends": [2],
//    "layers": [{"type": "conv", "name": "features.0", "out": 16, ...}, ...]}
// A missing field has its default; name, mid and out have none (but a linear's out: the classes).

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/file.h"
#include "kernels/error.h"
#include "models/fields.h"

namespace hac {
namespace {

using Json = nlohmann::json;  // std::map inside: a million keys in a file cost no quadratic time
using OrderedJson = nlohmann::ordered_json;

constexpr std::size_t max_bytes = std::size_t{8} << 20;
constexpr int max_depth = 8;  // nesting; an architecture needs 3

[[noreturn]] void fail(const std::string& where, const std::string& expected,
                       const std::string& got) {
  throw ConfigError(fmt::format("architecture '{}': expected {}, got {}",
                                where.empty() ? "JSON" : where, expected, got));
}

// Keys and values come from the file: shown short, quoted and escaped.
std::string show(const Json& value) {
  if (value.is_structured()) return value.type_name();
  const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 60) + "...";
}

// Reads the members of one object, and knows in the end which were never asked for.
class Reader {
 public:
  Reader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail(where_, "an object", show(object));
  }

  const Json* find(const char* key, bool required) {
    known_.insert(key);
    const auto it = object_.find(key);
    if (it != object_.end()) return &*it;
    if (required) fail(path(key), "a value", "none");
    return nullptr;
  }

  void read(const char* key, std::string& value, bool required) {
    const Json* json = find(key, required);
    if (!json) return;
    if (!json->is_string()) fail(path(key), "a string", show(*json));
    value = json->get<std::string>();
  }
  void read(const char* key, std::int64_t& value, bool required) {
    const Json* json = find(key, required);
    if (json) value = integer(*json, path(key));
  }
  void read(const char* key, Activation& value) {
    const Json* json = find(key, false);
    if (!json) return;
    const auto* name = std::find(std::begin(activation_names), std::end(activation_names),
                                 json->is_string() ? json->get<std::string>() : "");
    if (name == std::end(activation_names)) {
      fail(path(key), fmt::format("one of {}", fmt::join(activation_names, ", ")), show(*json));
    }
    value = static_cast<Activation>(name - std::begin(activation_names));
  }
  void read(const char* key, bool& value) {
    const Json* json = find(key, false);
    if (!json) return;
    if (!json->is_boolean()) fail(path(key), "true or false", show(*json));
    value = json->get<bool>();
  }
  void read(const char* key, float& value) {
    const Json* json = find(key, false);
    if (!json) return;
    if (!json->is_number() || !(std::abs(json->get<double>()) <= 1e30)) {
      fail(path(key), "a number of moderate size", show(*json));
    }
    value = json->get<float>();
  }

  void finish() const {
    for (const auto& item : object_.items()) {
      if (known_.contains(item.key())) continue;
      fail(where_, fmt::format("keys {}", fmt::join(known_, ", ")), show(Json(item.key())));
    }
  }

  std::string path(const std::string& key) const {
    return where_.empty() ? key : where_ + "." + key;
  }

  static std::int64_t integer(const Json& json, const std::string& where) {
    constexpr auto most = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
    const bool fits = !json.is_number_unsigned() || json.get<std::uint64_t>() <= most;
    if (!json.is_number_integer() || !fits) fail(where, "an integer", show(json));
    return json.get<std::int64_t>();
  }

 private:
  const Json& object_;
  std::string where_;
  std::set<std::string> known_;
};

template <std::size_t... I>
Layer default_layer(std::size_t index, std::index_sequence<I...>) {
  Layer layer;
  ((I == index ? void(layer.emplace<I>()) : void()), ...);
  return layer;
}

Layer layer_from_json(const Json& json, const std::string& where) {
  Reader reader(json, where);
  std::string type;
  reader.read("type", type, true);
  if (type == "relu") type = "activation";  // as files of release 1 call it
  const auto* known = std::find(std::begin(layer_types), std::end(layer_types), type);
  if (known == std::end(layer_types)) {
    fail(reader.path("type"), fmt::format("one of {}", fmt::join(layer_types, ", ")),
         show(Json(type)));
  }
  Layer layer = default_layer(known - std::begin(layer_types),
                              std::make_index_sequence<std::variant_size_v<Layer>>());
  std::visit(
      [&](auto& l) {
        visit_fields(l, [&](const char* key, auto& value, auto... bounds) {
          if constexpr (std::is_same_v<decltype(value), std::string&>) {
            reader.read(key, value, std::string_view(key) == "name");
          } else if constexpr (sizeof...(bounds) == 2) {
            const std::int64_t low[] = {bounds...};
            const std::string_view k = key;
            reader.read(key, value, k == "mid" || (k == "out" && low[0] > 0));
          } else {
            reader.read(key, value);
          }
        });
      },
      layer);
  if (auto* norm = std::get_if<BatchNorm>(&layer)) {
    bool relu = false;  // so too
    reader.read("relu", relu);
    if (relu) norm->activation = Activation::relu;
  }
  reader.finish();
  return layer;
}

OrderedJson to_json(const Layer& layer) {
  OrderedJson json;
  json["type"] = layer_types[layer.index()];
  std::visit(
      [&](const auto& l) {
        visit_fields(l, [&](const char* key, const auto& value, auto...) {
          // The shortest decimal that reads back as the same float.
          if constexpr (std::is_same_v<decltype(value), const float&>) {
            json[key] = std::stod(fmt::format("{}", value));
          } else if constexpr (std::is_same_v<decltype(value), const Activation&>) {
            json[key] = activation_names[static_cast<int>(value)];
          } else {
            json[key] = value;
          }
        });
      },
      layer);
  return json;
}

std::string dump(const OrderedJson& json) {
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

Json parse(const std::string& text) {
  if (text.size() > max_bytes) {
    fail("JSON", fmt::format("at most {} bytes", max_bytes), fmt::format("{}", text.size()));
  }
  const auto shallow = [](int depth, Json::parse_event_t, Json&) {
    if (depth > max_depth) fail("JSON", fmt::format("nesting of at most {}", max_depth), "more");
    return true;
  };
  try {
    return Json::parse(text, shallow);
  } catch (const nlohmann::json::exception& error) {
    // Its message quotes the input, which may be anything; the position is enough.
    const auto* at = dynamic_cast<const nlohmann::json::parse_error*>(&error);
    fail("JSON", "valid JSON", fmt::format("an error at byte {}", at ? at->byte : 0));
  }
}

}  // namespace

std::string to_json(const Architecture& arch) {
  std::string text = fmt::format(
      "{{\n  \"name\": {},\n  \"channels\": {},\n  \"resolution\": {},\n  \"classes\": {},\n"
      "  \"stage_ends\": [{}],\n  \"layers\": [",
      dump(OrderedJson(arch.name)), arch.channels, arch.resolution, arch.classes,
      fmt::join(arch.stage_ends, ", "));
  const char* separator = "\n    ";
  for (const Layer& layer : arch.layers) {
    text += separator + dump(to_json(layer));
    separator = ",\n    ";
  }
  return text + "\n  ]\n}\n";
}

Architecture architecture_from_json(const std::string& text) {
  const Json json = parse(text);
  Reader reader(json, "");
  Architecture arch;
  reader.read("name", arch.name, true);
  reader.read("channels", arch.channels, true);
  reader.read("resolution", arch.resolution, true);
  reader.read("classes", arch.classes, true);
  if (const Json* ends = reader.find("stage_ends", false)) {
    if (!ends->is_array() || ends->size() > max_layers) {
      fail("stage_ends", "an array of layer numbers", show(*ends));
    }
    for (const Json& end : *ends) {
      const std::int64_t value = Reader::integer(end, "stage_ends");
      if (value < 1 || value > max_layers) fail("stage_ends", "layer numbers", show(end));
      arch.stage_ends.push_back(static_cast<int>(value));
    }
  }
  const Json* layers = reader.find("layers", true);
  if (!layers->is_array() || layers->size() > max_layers) {
    fail("layers", fmt::format("an array of at most {} layers", max_layers), show(*layers));
  }
  for (const Json& layer : *layers) {
    arch.layers.push_back(layer_from_json(layer, fmt::format("layers[{}]", arch.layers.size())));
  }
  reader.finish();
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
