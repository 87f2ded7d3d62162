#pragma once
// The image files below a folder, and what else lies there.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace hac {

// Files that are not taken, by reason: "*.webp", "dangling link", ...
using LeftOut = std::map<std::string, std::int64_t>;
// "3 *.webp, 1 dangling link", the most frequent first; "" for none.
std::string text_of(const LeftOut& left_out);

// The folders in a folder, sorted by their bytes, but hidden ones and __MACOSX. Throws IoError:
// missing or unreadable.
std::vector<std::string> list_classes(const std::filesystem::path& folder, LeftOut& left_out);

// *.{jpg,jpeg,jfif,png} in any case, at any depth, as paths below the folder and in the order of
// torchvision's ImageFolder: folder after folder by their paths, names sorted in each. Links are
// followed, but not to a folder that holds the link. Throws IoError: missing or unreadable.
std::vector<std::string> list_images(const std::filesystem::path& folder, LeftOut& left_out);

struct BadImage {
  std::int64_t index = 0;
  std::string why;  // what the IoError said
};
// The i in [0, n) for which check(i) throws IoError, in order; other errors are thrown on. Calls it
// from all threads that kernels use. `phase` heads a line of progress where n is a thousand or
// more.
std::vector<BadImage> find_bad_images(std::int64_t n,
                                      const std::function<void(std::int64_t)>& check,
                                      const std::string& phase, bool quiet = false);

}  // namespace hac
