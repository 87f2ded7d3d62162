#include "tools/cli/recipes.h"

#include <fmt/format.h>

#include "engine/io/file.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "tools/cli/recipe_toml.h"

namespace hac {
namespace {

constexpr std::uint64_t max_file_bytes = 1 << 20;

bool is_path(const std::string& name) {
  return name.ends_with(".toml") || name.find('/') != std::string::npos;
}

}  // namespace

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const BuiltinRecipe& recipe : builtin_recipes()) names.push_back(recipe.name);
  return names;
}

std::string recipe_text(const std::string& name_or_path) {
  if (is_path(name_or_path)) return read_file(name_or_path, max_file_bytes);
  for (const BuiltinRecipe& recipe : builtin_recipes()) {
    if (name_or_path == recipe.name) return recipe.toml;
  }
  throw ConfigError(
      fmt::format("recipe '{}': expected a .toml file or one of {} (hint: did you mean {}?)",
                  name_or_path.substr(0, 100), fmt::join(recipe_names(), ", "),
                  nearest(name_or_path, recipe_names())));
}

Recipe load_recipe(const std::string& name_or_path) {
  return parse_recipe(recipe_text(name_or_path), name_or_path);
}

}  // namespace hac
