#include "engine/parallel/module.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>

namespace hac {
namespace {

namespace fs = std::filesystem;

// Beside the program, or where a package puts it.
std::string path_of(const char* library) {
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const fs::path& place : {folder, folder.parent_path() / "lib/hacscale"}) {
    if (fs::exists(place / library, ignored)) return (place / library).string();
  }
  return library;
}

}  // namespace

void* find_in_module(const char* library, const char* function, std::string& why) {
  const std::string path = path_of(library);
  // Global, because MPI's own plugins look for its symbols there.
  void* opened = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!opened) {
    why = fmt::format("{} cannot be opened: {}", library, ::dlerror());
    return nullptr;
  }
  void* found = ::dlsym(opened, function);
  if (!found) why = fmt::format("'{}' is no library of this program", path);
  return found;
}

}  // namespace hac
