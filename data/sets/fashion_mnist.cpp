#include "data/sets/fashion_mnist.h"

#include <fmt/format.h>

#include <filesystem>

#include "data/sets/datasets.h"
#include "data/sets/gzip.h"
#include "data/sets/image_set.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

constexpr const char* debian_folder = "/usr/share/datasets/fashion-mnist";
constexpr std::uint64_t max_file_bytes = std::uint64_t{1} << 28;  // the largest has 47 MB

// Over the 60,000 training images as the net sees them, padded to 32x32 (at 28x28 they are 0.2860
// and 0.3530).
constexpr Normalization statistics{.mean = {0.21900f, 0, 0}, .std = {0.33181f, 1, 1}};

std::string read_idx_file(const fs::path& folder, const std::string& name) {
  for (const fs::path& path : {folder / name, folder / (name + ".gz")}) {
    std::error_code ignored;
    if (fs::exists(path, ignored)) return read_gzip_file(path.string(), max_file_bytes);
  }
  throw IoError(
      fmt::format("fashion-mnist '{}': expected the file {} or {}.gz, got neither (hint: "
                  "apt-get install dataset-fashion-mnist, or name its folder with --data-dir)",
                  folder.string(), name, name));
}

DatasetPtr open_part(const fs::path& folder, const std::string& part) {
  const std::string image_name = part + "-images-idx3-ubyte",
                    label_name = part + "-labels-idx1-ubyte";
  const std::string image_file = read_idx_file(folder, image_name);
  const std::string label_file = read_idx_file(folder, label_name);
  const std::string image_path = (folder / image_name).string();
  const std::string label_path = (folder / label_name).string();
  const Idx images = parse_idx(image_file, 3, image_path);
  const Idx labels = parse_idx(label_file, 1, label_path);
  const std::int64_t n = images.shape[0];
  if (images.shape[1] != 28 || images.shape[2] != 28) {
    throw IoError(fmt::format("fashion-mnist '{}': expected images of 28x28, got {}x{}", image_path,
                              images.shape[1], images.shape[2]));
  }
  if (n < 1)
    throw IoError(fmt::format("fashion-mnist '{}': expected images, got none", image_path));
  if (labels.shape[0] != n) {
    throw IoError(fmt::format("fashion-mnist '{}': expected {} labels, one an image, got {}",
                              label_path, n, labels.shape[0]));
  }
  ImageSet set{.channels = 1, .resolution = 28, .border = 2, .normalization = statistics};
  set.classes = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                 "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  set.pixels.assign(images.bytes.begin(), images.bytes.end());
  set.labels.resize(n);
  for (std::int64_t i = 0; i < n; ++i) {
    set.labels[i] = static_cast<std::uint8_t>(labels.bytes[i]);
    if (set.labels[i] >= std::ssize(set.classes)) {
      throw IoError(
          fmt::format("fashion-mnist '{}': label {} of image {} is out of range: expected "
                      "0 to {}",
                      label_path, set.labels[i], i, set.classes.size() - 1));
    }
  }
  return in_memory(std::move(set));
}

}  // namespace

Idx parse_idx(std::string_view bytes, int rank, const std::string& where) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  const std::size_t header = 4 + 4 * static_cast<std::size_t>(rank);
  if (bytes.size() < header) {
    throw IoError(fmt::format("idx '{}': the file is cut: expected a header of {} bytes, got {}",
                              where, header, bytes.size()));
  }
  if (byte(0) != 0 || byte(1) != 0 || byte(2) != 8 || byte(3) != rank) {
    throw IoError(
        fmt::format("idx '{}': expected the magic number 00 00 08 {:02x}, got {:02x} {:02x} "
                    "{:02x} {:02x}",
                    where, rank, byte(0), byte(1), byte(2), byte(3)));
  }
  Idx idx{.bytes = bytes.substr(header)};
  std::uint64_t expected = 1;
  for (int d = 0; d < rank; ++d) {
    std::uint64_t size = 0;
    for (int b = 0; b < 4; ++b) size = size << 8 | byte(4 + 4 * d + b);
    idx.shape.push_back(static_cast<std::int64_t>(size));
    if (__builtin_mul_overflow(expected, size, &expected)) {
      throw IoError(fmt::format("idx '{}': its sizes overflow", where));
    }
  }
  if (idx.bytes.size() != expected) {
    throw IoError(fmt::format("idx '{}': expected {} bytes after the header, got {}{}", where,
                              expected, idx.bytes.size(),
                              idx.bytes.size() < expected ? " (the file is cut)" : ""));
  }
  return idx;
}

// The four files {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or with .gz, of one folder.
// Images are 1x28x28; their preprocessing pads them with zeros to 32x32. Throws IoError.
DatasetInfo fashion_mnist() {
  const auto open = [](const DataConfig& config, Parts parts) -> DataSplit {
    const fs::path folder = config.dir.empty() ? debian_folder : config.dir;
    return {parts == Parts::test ? nullptr : open_part(folder, "train"), open_part(folder, "t10k")};
  };
  return {.name = "fashion-mnist", .argument = "", .open = open, .has_place = true};
}

}  // namespace hac
