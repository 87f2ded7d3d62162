#include "data/sets/cifar.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "data/sets/image_set.h"
#include "engine/io/file.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t image_bytes = 3 * 32 * 32;

fs::path data_folder(const DataConfig& config) {
  if (!config.dir.empty()) return config.dir;
  const char* env = std::getenv("HAC_DATA_DIR");
  return env && *env ? env : "data-sets";
}

std::vector<std::string> read_class_names(const fs::path& path, const CifarLayout& layout) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return layout.classes;
  std::istringstream text(read_file(path.string(), 1 << 16));
  std::vector<std::string> names;
  for (std::string line; std::getline(text, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  if (names.size() != layout.classes.size()) {
    throw IoError(fmt::format("{} '{}': expected {} class names, one a line, got {}", layout.name,
                              path.string(), layout.classes.size(), names.size()));
  }
  return names;
}

DatasetPtr open_part(const CifarLayout& layout, const fs::path& folder,
                     const std::vector<std::string>& files, std::int64_t records,
                     const std::vector<std::string>& classes) {
  ImageSet set{
      .channels = 3, .resolution = 32, .classes = classes, .normalization = layout.normalization};
  const auto n = records * std::ssize(files);
  set.pixels.reserve(n * image_bytes);
  set.labels.reserve(n);
  for (const std::string& file : files) {
    const fs::path path = folder / file;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
      throw IoError(
          fmt::format("{} '{}': expected the file {}, it is not there (hint: unpack {} from "
                      "https://www.cs.toronto.edu/~kriz/cifar.html and name its folder with "
                      "--data-dir or HAC_DATA_DIR)",
                      layout.name, folder.string(), file, layout.archive));
    }
    append_cifar(read_file(path.string(), 1 << 28), layout, records, path.string(), set);
  }
  return in_memory(std::move(set));
}

template <CifarLayout (*layout)()>
DataSplit open(const DataConfig& config, Parts parts) {
  return open_cifar(layout(), config, parts);
}

}  // namespace

CifarLayout cifar10_layout() {
  return {.name = "cifar10",
          .folder = "cifar-10-batches-bin",
          .archive = "cifar-10-binary.tar.gz",
          .class_names = "batches.meta.txt",
          .classes = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse",
                      "ship", "truck"},
          .train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                    "data_batch_5.bin"},
          .test = {"test_batch.bin"},
          .label_bytes = 1,
          .records = 10000,
          .normalization = {{0.4914f, 0.4822f, 0.4465f}, {0.2470f, 0.2435f, 0.2616f}}};
}

CifarLayout cifar100_layout() {
  CifarLayout layout{.name = "cifar100",
                     .folder = "cifar-100-binary",
                     .archive = "cifar-100-binary.tar.gz",
                     .class_names = "fine_label_names.txt",
                     .train = {"train.bin"},
                     .test = {"test.bin"},
                     .label_bytes = 2,
                     .records = 50000,
                     .normalization = {{0.5071f, 0.4865f, 0.4409f}, {0.2673f, 0.2564f, 0.2762f}}};
  for (int c = 0; c < 100; ++c) layout.classes.push_back(fmt::format("class {}", c));
  return layout;
}

void append_cifar(std::string_view bytes, const CifarLayout& layout, std::int64_t records,
                  const std::string& where, ImageSet& set) {
  const std::int64_t record = layout.label_bytes + image_bytes;
  if (std::ssize(bytes) != record * records) {
    throw IoError(fmt::format("{} '{}': expected {} records of {} bytes = {} bytes, got {}{}",
                              layout.name, where, records, record, record * records, bytes.size(),
                              std::ssize(bytes) < record * records ? " (the file is cut)" : ""));
  }
  for (std::int64_t i = 0; i < records; ++i) {
    const std::string_view image = bytes.substr(i * record, record);
    const int label = static_cast<std::uint8_t>(image[layout.label_bytes - 1]);
    if (label >= std::ssize(layout.classes)) {
      throw IoError(fmt::format("{} '{}': label {} of record {} is out of range: expected 0 to {}",
                                layout.name, where, label, i, layout.classes.size() - 1));
    }
    set.labels.push_back(label);
    set.pixels.insert(set.pixels.end(), image.begin() + layout.label_bytes, image.end());
  }
}

DataSplit open_cifar(const CifarLayout& layout, const DataConfig& config, Parts parts) {
  fs::path folder = data_folder(config);
  std::error_code ignored;
  if (fs::is_directory(folder / layout.folder, ignored)) folder /= layout.folder;
  const auto classes = read_class_names(folder / layout.class_names, layout);
  const auto train = [&] {
    return open_part(layout, folder, layout.train, layout.records, classes);
  };
  return {parts == Parts::test ? nullptr : train(),
          open_part(layout, folder, layout.test, layout.test_records, classes)};
}

DatasetInfo cifar10() {
  return {.name = "cifar10", .argument = "", .open = open<cifar10_layout>, .has_place = true};
}

DatasetInfo cifar100() {
  return {.name = "cifar100", .argument = "", .open = open<cifar100_layout>, .has_place = true};
}

}  // namespace hac
