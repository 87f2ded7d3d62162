#include "tools/cli/recipes.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <map>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

using nlohmann::json;
using Lines = std::map<std::string, toml::source_index>;  // "train.epochs" -> 7

// As JSON, which is what reads fields; other types of TOML are of no field.
json json_of(const toml::node& node, const std::string& path, Lines& lines) {
  lines[path] = node.source().begin.line;
  if (const toml::table* table = node.as_table()) {
    json object = json::object();
    for (const auto& [key, value] : *table) {
      const std::string name(key.str()), inner = path.empty() ? name : path + "." + name;
      object[name] = json_of(value, inner, lines);
      lines[inner] = key.source().begin.line;
    }
    return object;
  }
  if (const toml::array* array = node.as_array()) {
    json list = json::array();
    for (const toml::node& element : *array) {
      list.push_back(json_of(element, fmt::format("{}[{}]", path, list.size()), lines));
    }
    return list;
  }
  if (const auto value = node.value_exact<std::string>()) return *value;
  if (const auto value = node.value_exact<bool>()) return *value;
  if (const auto value = node.value_exact<std::int64_t>()) return *value;
  if (const auto value = node.value_exact<double>()) return *value;
  return nullptr;
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

Recipe parse_recipe(const std::string& toml, const std::string& where) {
  try {
    Lines lines;
    const json read = json_of(toml::parse(toml), "", lines);
    Recipe recipe;
    read_json(read, recipe.fields(), "recipe", "",
              {.complete = false, .in = FieldDetails::toml, .where = [&](const std::string& path) {
                 return fmt::format("recipe '{}' line {}", where, lines[path]);
               }});
    validate(recipe);
    return recipe;
  } catch (const toml::parse_error& e) {
    throw ConfigError(fmt::format("recipe '{}' line {}: this is not valid TOML: {}", where,
                                  e.source().begin.line, e.description()));
  }
}

Recipe load_recipe(const std::string& name_or_path) {
  return parse_recipe(recipe_text(name_or_path), name_or_path);
}

}  // namespace hac
