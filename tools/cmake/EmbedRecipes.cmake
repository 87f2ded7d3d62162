# Writes builtin_recipes.cpp, which holds every recipe as text: cmake -DOUT=... -DRECIPES=a;b -P this.
set(entries "")
foreach(path ${RECIPES})
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} text)
  string(APPEND entries "    {\"${name}\", R\"TOML(${text})TOML\"},\n")
endforeach()
file(WRITE ${OUT} "#include \"tools/cli/recipes.h\"\n\nnamespace hac {\n\n"
  "std::span<const BuiltinRecipe> builtin_recipes() {\n"
  "  static constexpr BuiltinRecipe all[] = {\n${entries}  };\n  return all;\n}\n\n"
  "}  // namespace hac\n")
