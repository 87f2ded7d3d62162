#include "data/image_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iterator>

#include "data/decode.h"
#include "data/transform.h"
#include "kernels/error.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

constexpr Normalization imagenet_statistics{.mean = {0.485f, 0.456f, 0.406f},
                                            .std = {0.229f, 0.224f, 0.225f}};

constexpr std::int64_t max_resolution = 8192;

struct Entry {
  std::string path;  // below the set's folder
  std::int32_t label;
};

class ImageFolder final : public Dataset {
 public:
  ImageFolder(fs::path folder, std::vector<Entry> entries, std::vector<std::string> classes,
              std::int64_t resolution)
      : folder_(std::move(folder)),
        entries_(std::move(entries)),
        classes_(std::move(classes)),
        resolution_(resolution) {}

  std::int64_t size() const override { return std::ssize(entries_); }
  std::int32_t label(std::int64_t i) const override { return entries_.at(i).label; }
  std::int64_t channels() const override { return 3; }
  std::int64_t resolution() const override { return resolution_; }
  const std::vector<std::string>& classes() const override { return classes_; }
  Normalization normalization() const override { return imagenet_statistics; }

  std::string identity(std::int64_t i) const override {
    const fs::path path = folder_ / entries_.at(i).path;
    std::error_code error;
    const std::uintmax_t bytes = fs::file_size(path, error);
    if (error) {
      throw IoError(fmt::format("image '{}': {}", path.string(), error.message()));
    }
    return fmt::format("{} {}", entries_[i].path, bytes);
  }

  Sample get(std::int64_t i) const override {
    const Entry& entry = entries_.at(i);
    Sample sample = fit(read_image((folder_ / entry.path).string(), {.shorter_side = resolution_}),
                        3, resolution_);
    sample.label = entry.label;
    return sample;
  }

 private:
  fs::path folder_;
  std::vector<Entry> entries_;
  std::vector<std::string> classes_;
  std::int64_t resolution_;
};

// Names in a folder that `keep` accepts, sorted by bytes, hidden ones left out.
template <class Keep>
std::vector<std::string> list(const fs::path& folder, Keep keep) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::error_code ignored;
    if (!name.starts_with(".") && keep(*it, ignored)) names.push_back(name);
  }
  if (error) {
    throw IoError(
        fmt::format("imagefolder '{}': expected a folder of images: {} (hint: "
                    "DIR/{{train,val}}/CLASS/*.{{jpg,jpeg,png}})",
                    folder.string(), error.message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_folder(const fs::directory_entry& entry, std::error_code& error) {
  return entry.is_directory(error);
}

bool is_image(const fs::directory_entry& entry, std::error_code& error) {
  std::string extension = entry.path().extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return (extension == ".jpg" || extension == ".jpeg" || extension == ".png") &&
         entry.is_regular_file(error);
}

DatasetPtr open_part(const fs::path& folder, const std::vector<std::string>& classes,
                     std::int64_t resolution) {
  const std::vector<std::string> found = list(folder, is_folder);
  std::vector<std::string> odd;
  std::set_symmetric_difference(found.begin(), found.end(), classes.begin(), classes.end(),
                                std::back_inserter(odd));
  if (!odd.empty()) {
    throw IoError(
        fmt::format("imagefolder '{}': expected the {} class folders of train, got {} with "
                    "'{}' only in one of them",
                    folder.string(), classes.size(), found.size(), odd[0]));
  }
  std::vector<Entry> entries;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const fs::path class_folder = folder / classes[c];
    const std::vector<std::string> names = list(class_folder, is_image);
    if (names.empty()) {
      throw IoError(fmt::format("imagefolder '{}': expected *.jpg, *.jpeg or *.png, got none",
                                class_folder.string()));
    }
    for (const std::string& name : names) {
      entries.push_back({(fs::path(classes[c]) / name).string(), static_cast<std::int32_t>(c)});
    }
  }
  return std::make_shared<ImageFolder>(folder, std::move(entries), classes, resolution);
}

}  // namespace

DataSplit open_image_folder(const DataConfig& config) {
  const std::size_t colon = config.name.find(':');
  const fs::path root = colon == std::string::npos ? config.dir : config.name.substr(colon + 1);
  if (root.empty()) throw ConfigError("imagefolder: expected a folder, as in imagefolder:DIR");
  const std::int64_t resolution = config.resolution == 0 ? 224 : config.resolution;
  if (resolution < 1 || resolution > max_resolution) {
    throw ConfigError(fmt::format("imagefolder: expected a resolution from 1 to {}, got {}",
                                  max_resolution, resolution));
  }
  const std::vector<std::string> classes = list(root / "train", is_folder);
  if (classes.empty()) {
    throw IoError(fmt::format("imagefolder '{}': expected a folder for each class, got none",
                              (root / "train").string()));
  }
  return {open_part(root / "train", classes, resolution),
          open_part(root / "val", classes, resolution)};
}

}  // namespace hac
