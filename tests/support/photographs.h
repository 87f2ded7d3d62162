#pragma once
// The sample of ImageNet as a set: 199 photographs as they were uploaded, one a class; what it
// trains on is what it is evaluated on.

#include <fmt/format.h>

#include <cstdlib>
#include <optional>

#include "tests/support/temp_folder.h"

namespace hac::testing {

// Of HAC_DATA_DIR, else unpacked into `folder` from the project's shared data; nowhere.
inline std::optional<std::filesystem::path> find_photographs(const TempFolder& folder) {
  namespace fs = std::filesystem;
  const std::string name = "imagenet-sample-200";
  if (const char* dir = std::getenv("HAC_DATA_DIR"); dir && fs::exists(fs::path(dir) / name)) {
    return fs::absolute(fs::path(dir) / name);
  }
  const std::string archive = HAC_SOURCE_DIR "/../shared/data/imagenet/" + name + ".tar.xz";
  const std::string unpack = fmt::format("tar -xJf '{}' -C '{}'", archive, folder.path());
  if (!fs::exists(archive) || std::system(unpack.c_str()) != 0) return {};
  return fs::path(folder.file(name));
}

// `out`/{train,val} with links to the first so many classes of the sample.
inline void link_photographs(const std::filesystem::path& sample, const std::string& out,
                             std::size_t classes = 1000) {
  namespace fs = std::filesystem;
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(sample)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  folders.resize(std::min(classes, folders.size()));
  for (const char* part : {"train", "val"}) {
    fs::create_directories(fs::path(out) / part);
    for (const fs::path& folder : folders) {
      fs::create_directory_symlink(folder, fs::path(out) / part / folder.filename());
    }
  }
}

}  // namespace hac::testing
