#include "data/sets/packed_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "data/image/decode.h"
#include "data/sets/packed_layout.h"
#include "engine/io/fields_json.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"

namespace hac {

using namespace packed;

namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw IoError(fmt::format("packed '{}': {}", path, why));
}

}  // namespace

PackedFile::PackedFile(const std::string& path) : path_(path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (file < 0 || ::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    const int error = file < 0 ? errno : EISDIR;
    if (file >= 0) ::close(file);
    refuse(path, fmt::format("expected a file of 'hacscale data pack': {}", std::strerror(error)));
  }
  size_ = static_cast<std::uint64_t>(info.st_size);
  void* map = size_ == 0 ? nullptr : ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  if (map == MAP_FAILED) refuse(path, fmt::format("cannot map it: {}", std::strerror(errno)));
  map_ = static_cast<const char*>(map);
  try {
    read_index();
  } catch (...) {
    if (map_) ::munmap(map, size_);
    throw;
  }
}

PackedFile::~PackedFile() { ::munmap(const_cast<char*>(map_), size_); }

void PackedFile::read_index() {
  Header header{};
  if (size_ >= sizeof header) std::memcpy(&header, map_, sizeof header);
  if (std::memcmp(header.magic, header_magic.data(), sizeof header.magic) != 0) {
    refuse(path_, "expected a file of 'hacscale data pack', got something else");
  }
  if (header.version != version) {
    refuse(path_, fmt::format("expected version {} of the format, got {} (hint: pack it again)",
                              version, header.version));
  }
  Footer footer{};
  if (size_ >= 2 * alignment) std::memcpy(&footer, map_ + size_ - sizeof footer, sizeof footer);
  if (std::memcmp(footer.magic, footer_magic.data(), sizeof footer.magic) != 0 ||
      footer.crc != crc_of(footer) || footer.file_bytes != size_) {
    refuse(path_, fmt::format("it is cut or was never finished: no end at byte {}", size_));
  }
  const std::string_view all(map_, size_);
  const std::uint64_t end = size_ - sizeof footer;
  if (header.about_bytes > end - sizeof header ||
      crc32_of(all.substr(sizeof header, header.about_bytes)) != header.about_crc) {
    refuse(path_, "damaged: what says of what it was made has another checksum");
  }
  if (footer.index_at % alignment != 0 || footer.index_at > end ||
      footer.entries != (end - footer.index_at) / sizeof(PackedEntry) ||
      crc32_of(all.substr(footer.index_at, end - footer.index_at)) != footer.index_crc) {
    refuse(path_, "damaged: its index has another checksum");
  }
  const std::string about(all.substr(sizeof header, header.about_bytes));
  const std::string what = fmt::format("packed '{}'", path_);
  try {
    read_json(parse_json(about, what), about_.fields(), what);
  } catch (const ConfigError& error) {
    throw IoError(error.what());
  }
  entries_ = {reinterpret_cast<const PackedEntry*>(map_ + footer.index_at), footer.entries};
  for (const PackedEntry& entry : entries_) check_entry(entry, footer.index_at);
  checked_ = std::make_unique<std::atomic<bool>[]>(entries_.size());
}

void PackedFile::check_entry(const PackedEntry& e, std::uint64_t end) const {
  const auto i = &e - entries_.data();
  if (std::memcmp(e.magic, entry_magic, sizeof e.magic) != 0 || e.crc != crc_of(e)) {
    refuse(path_, fmt::format("damaged: entry {} of its index", i));
  }
  if (!fits(e, end)) refuse(path_, fmt::format("entry {} points outside of the file", i));
  if (e.label < 0 || e.label >= std::ssize(about_.classes) || e.split >= about_.splits.size()) {
    refuse(path_, fmt::format("entry {}: expected one of {} classes and {} splits, got {} and {}",
                              i, about_.classes.size(), about_.splits.size(), e.label, e.split));
  }
  check_pixels(e.width, e.height, default_max_pixels, name(static_cast<std::size_t>(i)));
  const std::uint64_t raw = std::uint64_t{3} * e.height * e.width;
  if (e.stored > 1 || (e.stored == 0 && e.bytes != raw)) {
    refuse(path_, fmt::format("entry {}: expected {} bytes for ({}, {}), got {}", i, raw, e.height,
                              e.width, e.bytes));
  }
}

std::string PackedFile::name(std::size_t i) const {
  const PackedEntry& e = entries_[i];
  return {map_ + e.at + sizeof e, e.name_bytes};
}

std::string_view PackedFile::bytes(std::size_t i) const {
  const PackedEntry& e = entries_[i];
  const std::string_view bytes(map_ + bytes_at(e), e.bytes);
  if (!checked_[i].load(std::memory_order_relaxed)) {
    if (std::memcmp(map_ + e.at, &e, sizeof e) != 0 ||
        crc32_of(bytes, crc32_of(name(i))) != e.bytes_crc) {
      refuse(path_, fmt::format("damaged: image {}, '{}', has another checksum (hint: pack it "
                                "again)",
                                i, one_line(name(i))));
    }
    checked_[i].store(true, std::memory_order_relaxed);
  }
  return bytes;
}

}  // namespace hac
