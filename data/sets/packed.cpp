// packed:FILE, a file that pack_images() made, as a set.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "data/sets/datasets.h"
#include "data/sets/folder_preprocessing.h"
#include "data/sets/packed_file.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

class PackedSet final : public Dataset {
 public:
  PackedSet(std::shared_ptr<const PackedFile> file, std::string path, std::size_t split,
            Preprocessing preprocessing)
      : file_(std::move(file)), path_(std::move(path)), preprocessing_(std::move(preprocessing)) {
    for (std::size_t i = 0; i < file_->entries().size(); ++i) {
      if (file_->entries()[i].split == split) images_.push_back(i);
    }
  }

  std::int64_t size() const override { return std::ssize(images_); }
  std::int32_t label(std::int64_t i) const override { return entry(i).label; }
  const std::vector<std::string>& classes() const override { return file_->about().classes; }
  const Preprocessing& preprocessing() const override { return preprocessing_; }

  std::string name(std::int64_t i) const override { return file_->name(images_.at(i)); }

  std::string identity(std::int64_t i) const override {
    return fmt::format("{} {:08x}", name(i), entry(i).bytes_crc);
  }

  StoredImage read(std::int64_t i) const override {
    const PackedEntry& e = entry(i);
    const std::string_view bytes = file_->bytes(images_[i]);
    if (e.stored == static_cast<int>(PackedAs::jpeg)) {
      return EncodedImage{.bytes = std::string(bytes),
                          .path = fmt::format("{}: {}", path_, file_->name(images_[i]))};
    }
    return SampleView{.channels = 3,
                      .height = e.height,
                      .width = e.width,
                      .pixels = {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()},
                      .owner = file_};
  }

 private:
  const PackedEntry& entry(std::int64_t i) const { return file_->entries()[images_.at(i)]; }

  std::shared_ptr<const PackedFile> file_;
  std::string path_;
  Preprocessing preprocessing_;
  std::vector<std::size_t> images_;
};

DatasetPtr open_split(const std::shared_ptr<const PackedFile>& file, const std::string& path,
                      const char* name, const Preprocessing& preprocessing) {
  const auto& splits = file->about().splits;
  const auto at = std::find(splits.begin(), splits.end(), name);
  auto set = std::make_shared<PackedSet>(file, path, static_cast<std::size_t>(at - splits.begin()),
                                         preprocessing);
  if (set->size() == 0) {
    throw IoError(fmt::format("packed '{}': expected images of '{}', got none", path, name));
  }
  return set;
}

// FILE follows the colon of config.name, else is config.dir. Preprocessing as imagefolder has it.
DataSplit open_packed(const DataConfig& config, Parts parts) {
  const std::size_t colon = config.name.find(':');
  const std::string path = colon == std::string::npos ? config.dir : config.name.substr(colon + 1);
  if (path.empty()) throw ConfigError("packed: expected a file, as in packed:FILE");
  const Preprocessing preprocessing = folder_preprocessing(config, "packed");
  const auto file = std::make_shared<const PackedFile>(path);
  DataSplit split;
  if (parts == Parts::both) split.train = open_split(file, path, "train", preprocessing);
  split.test = open_split(file, path, "val", preprocessing);
  const std::int64_t side = file->about().side, wanted = preprocessing.cropped_side();
  if (side < wanted) {
    split.notes.push_back(fmt::format("{}: packed with shorter sides of at most {}, enlarged to {}",
                                      path, side, wanted));
  }
  return split;
}

}  // namespace

DatasetInfo packed_images() {
  return {.name = "packed",
          .argument = ":FILE",
          .open = open_packed,
          .any_resolution = true,
          .photographs = true};
}

}  // namespace hac
