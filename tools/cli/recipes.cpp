#include "tools/cli/recipes.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

using nlohmann::json;
using PlaceOf = std::function<std::string(toml::source_index line)>;
using Places = std::map<std::string, std::string>;  // "train.epochs" -> "recipe 'quick' line 7"

// As JSON, which is what reads fields; other types of TOML are of no field.
json json_of(const toml::node& node, const std::string& path, const PlaceOf& place_of,
             Places& places) {
  places[path] = place_of(node.source().begin.line);
  if (const toml::table* table = node.as_table()) {
    json object = json::object();
    for (const auto& [key, value] : *table) {
      const std::string name(key.str()), inner = path.empty() ? name : path + "." + name;
      object[name] = json_of(value, inner, place_of, places);
      places[inner] = place_of(key.source().begin.line);
    }
    return object;
  }
  if (const toml::array* array = node.as_array()) {
    json list = json::array();
    for (const toml::node& element : *array) {
      list.push_back(json_of(element, fmt::format("{}[{}]", path, list.size()), place_of, places));
    }
    return list;
  }
  if (const auto value = node.value_exact<std::string>()) return *value;
  if (const auto value = node.value_exact<bool>()) return *value;
  if (const auto value = node.value_exact<std::int64_t>()) return *value;
  if (const auto value = node.value_exact<double>()) return *value;
  return nullptr;
}

json parse_toml(const std::string& toml, const PlaceOf& place_of, Places& places) {
  try {
    return json_of(toml::parse(toml), "", place_of, places);
  } catch (const toml::parse_error& e) {
    throw ConfigError(fmt::format("{}: this is not valid TOML: {}", place_of(e.source().begin.line),
                                  e.description()));
  }
}

// "scale.latency=1.5x" as TOML: what is no value of TOML is a string.
json parse_setting(const std::string& setting, Places& places) {
  const std::string place = "--set " + one_line(setting.substr(0, 100));
  const auto place_of = [&](auto) { return place; };
  const std::size_t equals = setting.find('=');
  if (equals == 0 || equals == std::string::npos) {
    throw ConfigError(place + ": expected KEY=VALUE, such as train.epochs=30");
  }
  const std::string key = setting.substr(0, equals), value = setting.substr(equals + 1);
  try {
    std::ignore = toml::parse("value = " + value);
  } catch (const toml::parse_error&) {
    return parse_toml(fmt::format("{} = '{}'", key, value), place_of, places);
  }
  return parse_toml(fmt::format("{} = {}", key, value), place_of, places);
}

constexpr std::uint64_t max_file_bytes = 1 << 20;

bool is_path(const std::string& name) {
  return name.ends_with(".toml") || name.find('/') != std::string::npos;
}

}  // namespace

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& recipe : builtin_recipes()) names.push_back(recipe.name);
  return names;
}

std::string recipe_text(const std::string& name_or_path) {
  if (is_path(name_or_path)) return read_file(name_or_path, max_file_bytes);
  for (const EmbeddedFile& recipe : builtin_recipes()) {
    if (name_or_path == recipe.name) return recipe.text;
  }
  throw ConfigError(
      fmt::format("recipe '{}': expected a .toml file or one of {} (hint: did you mean {}?)",
                  name_or_path.substr(0, 100), fmt::join(recipe_names(), ", "),
                  nearest(name_or_path, recipe_names())));
}

Recipe parse_recipe(const std::string& toml, const std::string& where,
                    const std::vector<std::string>& settings) {
  Places places;
  json read = parse_toml(
      toml, [&](auto line) { return fmt::format("recipe '{}' line {}", where, line); }, places);
  for (const std::string& setting : settings) read.update(parse_setting(setting, places), true);
  Recipe recipe;
  read_json(read, recipe.fields(), "recipe", "",
            {.complete = false, .in = FieldDetails::toml, .where = [&](const std::string& path) {
               return places[path];
             }});
  validate(recipe);
  return recipe;
}

Recipe load_recipe(const std::string& name_or_path, const std::vector<std::string>& settings) {
  return parse_recipe(recipe_text(name_or_path), name_or_path, settings);
}

}  // namespace hac
