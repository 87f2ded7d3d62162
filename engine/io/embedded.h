#pragma once
// A file that travels inside the program as text: tools/cmake/Embed.cmake.

#include <span>

namespace hac {

struct EmbeddedFile {
  const char* name;  // without its extension
  const char* text;
};

}  // namespace hac
