#include "data/sets/image_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <exception>

#include "engine/io/progress.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

bool is_image_name(const fs::path& name) {
  constexpr std::array known{".jpg", ".jpeg", ".jfif", ".png"};
  return std::find(known.begin(), known.end(), lower_extension(name)) != known.end();
}

// What file managers, archivers and notebooks leave behind.
bool is_clutter(const std::string& name) { return name.starts_with(".") || name == "__MACOSX"; }

enum class Kind { folder, file, dangling, other };

// Asks the disk only about links: the folder tells of the others.
Kind kind_of(const fs::directory_entry& entry) {
  std::error_code error;
  if (entry.is_directory(error)) return Kind::folder;
  if (entry.is_regular_file(error)) return Kind::file;
  return entry.is_symlink(error) ? Kind::dangling : Kind::other;
}

std::string reason(Kind kind, const std::string& name) {
  if (kind == Kind::dangling) return "dangling link";
  if (kind == Kind::other) return "no regular file";
  const std::string extension = lower_extension(name);
  return extension.empty() ? "without extension" : "*" + extension;
}

// The images of a name that is clutter: it, or what lies below it, but not behind links.
void count_hidden(const fs::directory_entry& entry, LeftOut& left_out) {
  std::error_code error;
  const auto count = [&](const fs::directory_entry& e) {
    if (is_image_name(e.path()) && kind_of(e) == Kind::file) ++left_out["hidden"];
  };
  count(entry);
  if (entry.is_symlink(error) || !entry.is_directory(error)) return;
  for (fs::recursive_directory_iterator it(entry, error), end; !error && it != end;
       it.increment(error)) {
    count(*it);
  }
}

template <class Visit>
void for_each_entry(const fs::path& folder, Visit visit) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    visit(*it, it->path().filename().string());
  }
  if (error) {
    throw IoError(
        fmt::format("imagefolder '{}': expected a folder of images: {} (hint: "
                    "DIR/{{train,val}}/CLASS/*.{{jpg,jpeg,png}})",
                    folder.string(), error.message()));
  }
}

// As far as it can be told: what is not there is found when it is opened.
fs::path followed(const fs::path& path) {
  std::error_code error;
  const fs::path resolved = fs::canonical(path, error);
  return error ? path : resolved;
}

// True where `folder` is `inner` or lies above it; both canonical.
bool holds(const fs::path& folder, const fs::path& inner) {
  return std::mismatch(folder.begin(), folder.end(), inner.begin(), inner.end()).first ==
         folder.end();
}

class Walk {
 public:
  Walk(fs::path root, LeftOut& left_out)
      : root_(std::move(root)), left_out_(left_out), open_{followed(root_.parent_path())} {}

  std::vector<std::string> images() {
    enter("", followed(root_));
    std::vector<std::string> paths;
    for (auto& [folder, names] : found_) {
      std::sort(names.begin(), names.end());
      for (const std::string& name : names) paths.push_back((fs::path(folder) / name).string());
    }
    return paths;
  }

 private:
  // `place`: where the folder lies when all links are followed.
  void enter(const fs::path& below, const fs::path& place) {
    const auto inside = [&](const fs::path& open) { return holds(place, open); };
    if (std::any_of(open_.begin(), open_.end(), inside)) {
      ++left_out_["link to a folder around it"];
      return;
    }
    open_.push_back(place);
    for_each_entry(root_ / below, [&](const fs::directory_entry& entry, const std::string& name) {
      const Kind kind = kind_of(entry);
      if (is_clutter(name)) {
        count_hidden(entry, left_out_);
      } else if (kind == Kind::folder) {
        enter(below / name, entry.is_symlink() ? followed(entry.path()) : place / name);
      } else if (kind == Kind::file && is_image_name(name)) {
        found_[below.string()].push_back(name);
      } else {
        ++left_out_[reason(kind, name)];
      }
    });
    open_.pop_back();
  }

  fs::path root_;
  LeftOut& left_out_;
  std::vector<fs::path> open_;  // the folders that are being listed, canonical
  std::map<std::string, std::vector<std::string>> found_;  // folder below the root -> names
};

}  // namespace

std::string text_of(const LeftOut& left_out) {
  using Count = std::pair<std::string, std::int64_t>;
  std::vector<Count> counts(left_out.begin(), left_out.end());
  std::stable_sort(counts.begin(), counts.end(),
                   [](const Count& a, const Count& b) { return a.second > b.second; });
  constexpr std::size_t shown = 8;
  std::vector<std::string> parts;
  std::int64_t others = 0;
  for (const auto& [reason, count] : counts) {
    if (parts.size() < shown) {
      parts.push_back(fmt::format("{} {}", count, reason));
    } else {
      others += count;
    }
  }
  if (others > 0) parts.push_back(fmt::format("{} others", others));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<std::string> list_classes(const fs::path& folder, LeftOut& left_out) {
  std::vector<std::string> names;
  for_each_entry(folder, [&](const fs::directory_entry& entry, const std::string& name) {
    const Kind kind = kind_of(entry);
    if (is_clutter(name)) {
      count_hidden(entry, left_out);
    } else if (kind == Kind::folder) {
      names.push_back(name);
    } else {
      const bool image = kind == Kind::file && is_image_name(name);
      ++left_out[image ? "outside the class folders" : reason(kind, name)];
    }
  });
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> list_images(const fs::path& folder, LeftOut& left_out) {
  return Walk(folder, left_out).images();
}

std::vector<BadImage> find_bad_images(std::int64_t n,
                                      const std::function<void(std::int64_t)>& check,
                                      const std::string& phase, bool quiet) {
  constexpr std::int64_t worth_a_line = 1000;  // images: about a second of one thread
  Progress progress(phase, n, quiet || n < worth_a_line);
  std::vector<BadImage> bad;
  std::exception_ptr other;
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t i = 0; i < n; ++i) {
    try {
      check(i);
    } catch (const IoError& error) {
#pragma omp critical(hac_bad_images)
      bad.push_back({i, error.what()});
    } catch (...) {
#pragma omp critical(hac_bad_images)
      other = std::current_exception();
    }
#pragma omp critical(hac_bad_images)
    progress.step(1, {});
  }
  if (other) std::rethrow_exception(other);
  progress.finish({});
  std::sort(bad.begin(), bad.end(),
            [](const BadImage& a, const BadImage& b) { return a.index < b.index; });
  return bad;
}

}  // namespace hac
