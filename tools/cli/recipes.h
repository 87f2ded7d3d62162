#pragma once
// Recipes by name: those that are built into the program (tools/recipes/*.toml, embedded by CMake)
// and files. As TOML, whose keys are those of recipe.json (scaling/experiment/recipe.h);
// tools/README.md lists them. Everything that is not given keeps the default of Recipe.

#include <span>
#include <string>
#include <vector>

#include "engine/io/embedded.h"
#include "scaling/experiment/recipe.h"

namespace hac {

std::span<const EmbeddedFile> builtin_recipes();
std::vector<std::string> recipe_names();

// `where` is what errors call the text; `settings` ("train.epochs=30") replace what it says.
// Throws ConfigError with the line or setting: malformed TOML, a value of another type or out of
// range, an unknown key (with the nearest known one).
Recipe parse_recipe(const std::string& toml, const std::string& where,
                    const std::vector<std::string>& settings = {});

// A built-in name, or a file (when it ends in .toml or holds a '/'). Throws ConfigError, IoError.
Recipe load_recipe(const std::string& name_or_path, const std::vector<std::string>& settings = {});
// The text of the same, as written.
std::string recipe_text(const std::string& name_or_path);

}  // namespace hac
