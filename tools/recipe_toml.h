#pragma once
// Recipes as TOML files. The keys are those of recipe.json (scaling/recipe.h); tools/README.md
// lists them. Everything that is not given keeps the default of Recipe.

#include <string>
#include <vector>

#include "scaling/recipe.h"

namespace hac {

// `where` is what errors call the text. Throws ConfigError with the line: malformed TOML, a value
// of another type or out of range, an unknown key (with the nearest known one).
Recipe parse_recipe(const std::string& toml, const std::string& where);

// A built-in name, or a file (when it ends in .toml or holds a '/'). Throws ConfigError, IoError.
Recipe load_recipe(const std::string& name_or_path);
// The text of the same, as written.
std::string recipe_text(const std::string& name_or_path);

std::vector<std::string> recipe_names();

}  // namespace hac
