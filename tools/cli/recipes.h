#pragma once
// Recipes by name: those that are built into the program (tools/recipes/*.toml, embedded by CMake)
// and files.

#include <span>
#include <string>
#include <vector>

#include "scaling/experiment/recipe.h"

namespace hac {

struct BuiltinRecipe {
  const char* name;  // of the file, without .toml
  const char* toml;
};

std::span<const BuiltinRecipe> builtin_recipes();
std::vector<std::string> recipe_names();

// A built-in name, or a file (when it ends in .toml or holds a '/'). Throws ConfigError, IoError.
Recipe load_recipe(const std::string& name_or_path);
// The text of the same, as written.
std::string recipe_text(const std::string& name_or_path);

}  // namespace hac
