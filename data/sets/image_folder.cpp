// A folder of images: DIR/{train,val}/CLASS/ with images at any depth (image_files.h). Classes are
// the folders of train, sorted; images are decoded when asked for.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "data/image/decode.h"
#include "data/sets/datasets.h"
#include "data/sets/folder_preprocessing.h"
#include "data/sets/image_files.h"
#include "engine/io/text.h"
#include "engine/tensor/hash.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

struct Entry {
  std::string path;  // below the set's folder
  std::int32_t label;
};

class ImageFolder final : public Dataset {
 public:
  ImageFolder(fs::path folder, std::vector<Entry> entries, std::vector<std::string> classes,
              Preprocessing preprocessing)
      : folder_(std::move(folder)),
        entries_(std::move(entries)),
        classes_(std::move(classes)),
        preprocessing_(std::move(preprocessing)) {}

  std::int64_t size() const override { return std::ssize(entries_); }
  std::int32_t label(std::int64_t i) const override { return entries_.at(i).label; }
  const std::vector<std::string>& classes() const override { return classes_; }
  const Preprocessing& preprocessing() const override { return preprocessing_; }

  std::string name(std::int64_t i) const override { return entries_.at(i).path; }

  std::string identity(std::int64_t i) const override {
    const fs::path path = folder_ / entries_.at(i).path;
    std::error_code error;
    const std::uintmax_t bytes = fs::file_size(path, error);
    if (error) {
      throw IoError(fmt::format("image '{}': {}", path.string(), error.message()));
    }
    return fmt::format("{} {}", entries_[i].path, bytes);
  }

  StoredImage read(std::int64_t i) const override {
    constexpr const char* hint = "hacscale data check lists all bad files";
    try {
      EncodedImage image = read_image_file((folder_ / entries_.at(i).path).string());
      image.hint = hint;
      return image;
    } catch (const IoError& error) {
      throw IoError(with_hint(error.what(), hint));
    }
  }

 private:
  fs::path folder_;
  std::vector<Entry> entries_;
  std::vector<std::string> classes_;
  Preprocessing preprocessing_;
};

// Those that check_image_file refuses. A process reads a folder once, and again where the names of
// its files are others: an experiment opens it for each limit.
std::vector<BadImage> bad_images_of(const fs::path& folder, const std::vector<Entry>& entries,
                                    bool quiet) {
  using Scan =
      std::pair<std::uint64_t, std::vector<BadImage>>;  // hash of the names; what was found
  static std::mutex mutex;
  static std::map<fs::path, Scan> scans;
  std::uint64_t names = 0;
  for (const Entry& entry : entries) {
    names = fnv1a(fmt::format("{:016x} {}", names, entry.path));
  }
  const fs::path path = fs::absolute(folder);
  const std::lock_guard lock(mutex);
  if (const auto it = scans.find(path); it != scans.end() && it->second.first == names) {
    return it->second.second;
  }
  std::vector<BadImage> bad = find_bad_images(
      std::ssize(entries),
      [&](std::int64_t i) { check_image_file((folder / entries[i].path).string()); },
      fmt::format("checking {}", one_line(folder.filename().string())), quiet);
  scans[path] = {names, bad};
  return bad;
}

// Takes the bad images out of `entries`, or throws.
void settle_bad_images(const fs::path& folder, const DataConfig& config,
                       std::vector<Entry>& entries, std::vector<LeftOut>& left_out,
                       std::vector<std::string>& notes) {
  const std::vector<BadImage> bad = bad_images_of(folder, entries, config.quiet);
  if (bad.empty()) return;
  constexpr std::size_t shown = 5;
  std::string first;
  for (std::size_t k = 0; k < std::min(shown, bad.size()); ++k) {
    first += (k == 0 ? "" : "; ") + bad[k].why;
  }
  if (bad.size() > shown) first += "; ...";
  const std::string count = fmt::format("{} of {} images", bad.size(), entries.size());
  if (config.bad_images != BadImages::skip) {
    throw IoError(
        fmt::format("imagefolder '{}': {} are bad: {} (hint: hacscale data check lists "
                    "all, --bad-images skip leaves them out)",
                    folder.string(), count, first));
  }
  notes.push_back(
      fmt::format("{}: left out {} that are bad: {}", folder.filename().string(), count, first));
  auto next = bad.begin();
  std::vector<Entry> good;
  for (std::int64_t i = 0; i < std::ssize(entries); ++i) {
    if (next != bad.end() && next->index == i) {
      ++left_out[entries[i].label]["bad"];
      ++next;
    } else {
      good.push_back(std::move(entries[i]));
    }
  }
  entries = std::move(good);
}

void require_same_classes(const fs::path& folder, const std::vector<std::string>& found,
                          const std::vector<std::string>& classes) {
  std::vector<std::string> odd;
  std::set_symmetric_difference(found.begin(), found.end(), classes.begin(), classes.end(),
                                std::back_inserter(odd));
  if (odd.empty()) return;
  throw IoError(
      fmt::format("imagefolder '{}': expected the {} class folders of train, got {} with "
                  "'{}' only in one of them",
                  folder.string(), classes.size(), found.size(), odd[0]));
}

void require_images_in_each(const fs::path& folder, const std::vector<Entry>& entries,
                            const std::vector<std::string>& classes,
                            const std::vector<LeftOut>& left_out) {
  std::vector<bool> found(classes.size());
  for (const Entry& entry : entries) found[entry.label] = true;
  const auto empty = std::find(found.begin(), found.end(), false) - found.begin();
  if (empty == std::ssize(classes)) return;
  const std::string others = text_of(left_out[empty]);
  throw IoError(fmt::format("imagefolder '{}': expected *.jpg, *.jpeg, *.jfif or *.png, got none{}",
                            (folder / classes[empty]).string(),
                            others.empty() ? "" : " (left out: " + others + ")"));
}

DatasetPtr open_part(const fs::path& folder, const std::vector<std::string>& classes,
                     const DataConfig& config, std::vector<std::string>& notes) {
  LeftOut total;
  require_same_classes(folder, list_classes(folder, total), classes);
  std::vector<Entry> entries;
  std::vector<LeftOut> left_out(classes.size());
  for (std::size_t c = 0; c < classes.size(); ++c) {
    for (const std::string& path : list_images(folder / classes[c], left_out[c])) {
      entries.push_back({(fs::path(classes[c]) / path).string(), static_cast<std::int32_t>(c)});
    }
    for (const auto& [reason, count] : left_out[c]) total[reason] += count;
  }
  if (!total.empty()) {
    notes.push_back(fmt::format("{}: left out {}", folder.filename().string(), text_of(total)));
  }
  require_images_in_each(folder, entries, classes, left_out);
  if (config.check_images) settle_bad_images(folder, config, entries, left_out, notes);
  require_images_in_each(folder, entries, classes, left_out);
  return std::make_shared<ImageFolder>(folder, std::move(entries), classes,
                                       folder_preprocessing(config, "imagefolder"));
}

// DIR follows the colon of config.name, else is config.dir. Their preprocessing is
// config.preprocessing, else one of config.resolution (default 224). Throws ConfigError without
// DIR, IoError for folders that are missing, empty or not the same in train and val.
DataSplit open_image_folder(const DataConfig& config, Parts parts) {
  const std::size_t colon = config.name.find(':');
  const fs::path root = colon == std::string::npos ? config.dir : config.name.substr(colon + 1);
  if (root.empty()) throw ConfigError("imagefolder: expected a folder, as in imagefolder:DIR");
  folder_preprocessing(config, "imagefolder");
  const fs::path first = root / (parts == Parts::test ? "val" : "train");
  LeftOut ignored;
  const std::vector<std::string> classes = list_classes(first, ignored);
  if (classes.empty()) {
    throw IoError(fmt::format("imagefolder '{}': expected a folder for each class, got none",
                              first.string()));
  }
  DataSplit split;
  if (parts == Parts::both) {
    split.train = open_part(root / "train", classes, config, split.notes);
  }
  split.test = open_part(root / "val", classes, config, split.notes);
  return split;
}

}  // namespace

Preprocessing folder_preprocessing(const DataConfig& config, const std::string& set) {
  if (config.preprocessing) return *config.preprocessing;
  constexpr std::int64_t max_resolution = 8192;
  const std::int64_t resolution = config.resolution == 0 ? 224 : config.resolution;
  if (resolution >= 1 && resolution <= max_resolution) {
    return {.resolution = resolution,
            .normalization = {.mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}}};
  }
  throw ConfigError(fmt::format("{}: expected a resolution from 1 to {}, got {}", set,
                                max_resolution, resolution));
}

DatasetInfo image_folder() {
  return {.name = "imagefolder",
          .argument = ":DIR",
          .open = open_image_folder,
          .any_resolution = true,
          .photographs = true};
}

}  // namespace hac
