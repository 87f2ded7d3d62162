#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "data/sets/packed_layout.h"
#include "engine/io/fields_json.h"
#include "kernels/core/error.h"

namespace hac {

using namespace packed;

namespace {

[[noreturn]] void fail(const std::string& path, const std::string& why) {
  throw IoError(fmt::format("file '{}': {}", path, why));
}

std::string padded(std::string bytes) {
  bytes.resize(aligned(bytes.size()));
  return bytes;
}

// Header and what says of what it is made.
std::string start_of(const PackedAbout& about) {
  const std::string text = to_json(fields_of(about)).dump();
  Header header{.version = version, .about_crc = crc32_of(text), .about_bytes = text.size()};
  std::memcpy(header.magic, header_magic.data(), sizeof header.magic);
  return padded(std::string(bytes_of(header)) + text);
}

std::string read_at(int file, std::uint64_t at, std::uint64_t bytes) {
  std::string out(bytes, '\0');
  std::uint64_t n = 0;
  while (n < bytes) {
    const ssize_t got = ::pread(file, out.data() + n, bytes - n, static_cast<off_t>(at + n));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    n += static_cast<std::uint64_t>(got);
  }
  out.resize(n);
  return out;
}

}  // namespace

PackedWriter::PackedWriter(const std::string& path, const PackedAbout& about, bool overwrite)
    : path_(path), part_(path + ".part") {
  file_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) fail(part_, std::strerror(errno));
  try {
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) fail(part_, "another process is writing it");
    begin(start_of(about), overwrite);
  } catch (...) {
    ::close(file_);
    throw;
  }
}

PackedWriter::~PackedWriter() {
  if (file_ >= 0) ::close(file_);
}

void PackedWriter::begin(const std::string& start, bool overwrite) {
  std::string found = read_at(file_, 0, start.size());
  if (overwrite && !start.starts_with(found)) {
    found.clear();
    if (::ftruncate(file_, 0) != 0) fail(part_, std::strerror(errno));
  }
  if (!start.starts_with(found)) {
    fail(part_,
         "was begun from another set, or with other settings (hint: --overwrite begins again)");
  }
  if (found.size() < start.size()) {
    write(std::string_view(start).substr(at_ = found.size()));
    return;
  }
  at_ = start.size();
  keep_whole_records();
}

// The last one may be half written.
void PackedWriter::keep_whole_records() {
  struct stat info {};
  if (::fstat(file_, &info) != 0) fail(part_, std::strerror(errno));
  const auto size = static_cast<std::uint64_t>(info.st_size);
  for (;;) {
    PackedEntry e{};
    const std::string head = read_at(file_, at_, sizeof e);
    if (head.size() < sizeof e) break;
    std::memcpy(&e, head.data(), sizeof e);
    if (std::memcmp(e.magic, entry_magic, sizeof e.magic) != 0 || e.crc != crc_of(e) ||
        e.at != at_ || !fits(e, size)) {
      break;
    }
    const std::uint32_t name = crc32_of(read_at(file_, at_ + sizeof e, e.name_bytes));
    if (crc32_of(read_at(file_, bytes_at(e), e.bytes), name) != e.bytes_crc) break;
    entries_.push_back(e);
    at_ = end_of(e);
  }
  if (::ftruncate(file_, static_cast<off_t>(at_)) != 0) fail(part_, std::strerror(errno));
}

void PackedWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(at_));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      fail(part_,
           fmt::format("{} (hint: the same command continues from here)", std::strerror(errno)));
    }
    at_ += static_cast<std::uint64_t>(n);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void PackedWriter::add(const PackedImage& image) {
  PackedEntry e{.at = at_,
                .bytes = image.bytes.size(),
                .bytes_crc = crc32_of(image.bytes, crc32_of(image.name)),
                .name_bytes = static_cast<std::uint32_t>(image.name.size()),
                .height = static_cast<std::uint32_t>(image.height),
                .width = static_cast<std::uint32_t>(image.width),
                .label = image.label,
                .split = static_cast<std::uint16_t>(image.split),
                .stored = static_cast<std::uint16_t>(image.stored),
                .source = image.source};
  std::memcpy(e.magic, entry_magic, sizeof e.magic);
  e.crc = crc_of(e);
  write(padded(padded(std::string(bytes_of(e)) + image.name) + image.bytes));
  entries_.push_back(e);
}

void PackedWriter::finish() {
  const std::string_view index(reinterpret_cast<const char*>(entries_.data()),
                               entries_.size() * sizeof(PackedEntry));
  Footer footer{.index_crc = crc32_of(index),
                .index_at = at_,
                .entries = entries_.size(),
                .file_bytes = at_ + index.size() + sizeof(Footer)};
  std::memcpy(footer.magic, footer_magic.data(), sizeof footer.magic);
  footer.crc = crc_of(footer);
  write(index);
  write(bytes_of(footer));
  if (::fsync(file_) != 0) fail(part_, std::strerror(errno));
  if (std::rename(part_.c_str(), path_.c_str()) != 0) fail(path_, std::strerror(errno));
}

}  // namespace hac
