#pragma once
// The recipes that are built into the program: tools/recipes/*.toml, embedded by CMake.

#include <span>

namespace hac {

struct BuiltinRecipe {
  const char* name;  // of the file, without .toml
  const char* toml;
};

std::span<const BuiltinRecipe> builtin_recipes();

}  // namespace hac
