#pragma once
// One file of many labelled images, to be mapped. Little endian, every part at a multiple of 64:
//
//   header | about, JSON | records | index | footer
//
// A record is its entry, the image's name, and its bytes: raw pixels, planar, or a file of its own.
// The index repeats all entries. While a file is written it has neither index nor footer, and what
// is whole of it can be continued; so the bytes of a finished one say nothing of how often that
// was. Everything has a CRC-32 (zlib's); those of images are compared when they are first read.

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/fields.h"

namespace hac {

enum class PackedAs : std::uint8_t { raw, jpeg };
template <>
inline constexpr std::string_view enum_names<PackedAs>[] = {"raw", "jpeg"};

// What a packed file was made of, and how.
struct PackedAbout {
  std::string folder;  // the last part of its path
  std::int64_t side = 0;
  PackedAs stored = PackedAs::raw;
  std::int64_t quality = 0;  // of JPEG; 0 for raw
  std::vector<std::string> splits, classes;
  std::vector<std::string> fingerprints;  // of each split, as it was (data/sets/dataset.h)

  Fields fields() {
    return Fields()
        .add("folder", folder)
        .add("side", side, {1, 65536})
        .add("stored", stored)
        .add("quality", quality, {0, 100})
        .add("splits", splits)
        .add("classes", classes)
        .add("fingerprints", fingerprints);
  }
  bool operator==(const PackedAbout&) const = default;
};

struct PackedImage {
  std::int32_t split = 0, label = 0;
  std::int64_t source = 0;             // its index in the set that was packed
  std::int64_t height = 0, width = 0;  // upright
  PackedAs stored = PackedAs::raw;     // a file that could be kept as it was is no raw one
  std::string name;
  std::string bytes;
};

// As it stands in the file.
struct PackedEntry {
  char magic[4];
  std::uint32_t crc;  // of all that follows in this struct
  std::uint64_t at;   // of the record
  std::uint64_t bytes;
  std::uint32_t bytes_crc, name_bytes;  // the first of name and bytes
  std::uint32_t height, width;
  std::int32_t label;
  std::uint16_t split, stored;
  std::int64_t source;
  std::uint64_t zero;
};
static_assert(sizeof(PackedEntry) == 64);

// A finished file. Threads may share it.
class PackedFile {
 public:
  // Throws IoError: "packed 'FILE': expected ..., got ...": no packed file, of another version, not
  // finished, cut, damaged but for its images, or an entry that does not fit the file.
  explicit PackedFile(const std::string& path);
  ~PackedFile();
  PackedFile(const PackedFile&) = delete;
  PackedFile& operator=(const PackedFile&) = delete;

  const PackedAbout& about() const { return about_; }
  std::span<const PackedEntry> entries() const { return entries_; }
  std::string name(std::size_t i) const;
  // Its bytes in the map. Throws IoError if they are not those that were written.
  std::string_view bytes(std::size_t i) const;

 private:
  void read_index();
  void check_entry(const PackedEntry& entry, std::uint64_t end) const;

  const std::string path_;
  const char* map_ = nullptr;
  std::uint64_t size_ = 0;
  PackedAbout about_;
  std::span<const PackedEntry> entries_;
  std::unique_ptr<std::atomic<bool>[]> checked_;  // of each image
};

// Writes `path`, under the name path.part until it is finished.
class PackedWriter {
 public:
  // Continues a path.part that was begun for the same, from its last whole image. Throws IoError:
  // it was begun for something else, unless `overwrite`, or another process writes it.
  PackedWriter(const std::string& path, const PackedAbout& about, bool overwrite);
  ~PackedWriter();
  PackedWriter(const PackedWriter&) = delete;
  PackedWriter& operator=(const PackedWriter&) = delete;

  std::span<const PackedEntry> entries() const { return entries_; }  // found, and added since
  void add(const PackedImage& image);  // throws IoError: a full disk; what was added before stays
  void finish();                       // synced, and under its name. Throws IoError.
  std::uint64_t size() const { return at_; }

 private:
  void begin(const std::string& start, bool overwrite);
  void keep_whole_records();
  void write(std::string_view bytes);

  const std::string path_, part_;
  int file_ = -1;
  std::uint64_t at_ = 0;
  std::vector<PackedEntry> entries_;
};

}  // namespace hac
