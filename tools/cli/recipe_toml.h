#pragma once
// Recipes as TOML. The keys are those of recipe.json (scaling/experiment/recipe.h); tools/README.md
// lists them. Everything that is not given keeps the default of Recipe.

#include <string>

#include "scaling/experiment/recipe.h"

namespace hac {

// `where` is what errors call the text. Throws ConfigError with the line: malformed TOML, a value
// of another type or out of range, an unknown key (with the nearest known one).
Recipe parse_recipe(const std::string& toml, const std::string& where);

}  // namespace hac
