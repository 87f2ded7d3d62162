#include "engine/io/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <filesystem>

#include "engine/io/file.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "records are little-endian");

constexpr std::string_view name_begin = "events.out.tfevents.";

template <class T>
std::string bytes_of(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return bytes_of(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
}

std::string record(std::string_view data) {
  const std::string length = bytes_of(std::uint64_t{data.size()});
  return length + masked_crc(length) + std::string(data) + masked_crc(data);
}

// The bytes of whole records at the beginning.
std::uint64_t whole_records(std::string_view file) {
  constexpr std::uint64_t frame = 8 + 4 + 4;
  std::uint64_t at = 0;
  while (file.size() - at >= frame) {
    std::uint64_t length = 0;
    file.substr(at, 8).copy(reinterpret_cast<char*>(&length), 8);
    if (file.substr(at + 8, 4) != masked_crc(file.substr(at, 8))) break;
    if (length > file.size() - at - frame) break;
    const std::string_view data = file.substr(at + 12, length);
    if (file.substr(at + 12 + length, 4) != masked_crc(data)) break;
    at += frame + length;
  }
  return at;
}

// protobuf: a field is its number and wire type, then its value.
enum WireType { varint_type = 0, fixed64_type = 1, bytes_type = 2, fixed32_type = 5 };

std::string varint(std::uint64_t value) {
  std::string text;
  for (; value >= 128; value >>= 7) text += static_cast<char>(value | 128);
  return text + static_cast<char>(value);
}
std::string field(int number, WireType type, const std::string& value) {
  return varint(static_cast<std::uint64_t>(number) << 3 | type) + value;
}
std::string bytes_field(int number, const std::string& bytes) {
  return field(number, bytes_type, varint(bytes.size()) + bytes);
}

std::string event(std::int64_t step, const std::string& what) {
  const double now = std::chrono::duration<double>(  // wall_time, step
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
  return record(field(1, fixed64_type, bytes_of(now)) +
                field(2, varint_type, varint(static_cast<std::uint64_t>(step))) + what);
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static const std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      t[i] = i;
      for (int bit = 0; bit < 8; ++bit) t[i] = (t[i] >> 1) ^ (t[i] & 1 ? 0x82f63b78u : 0);
    }
    return t;
  }();
  std::uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(c)) & 255];
  return ~crc;
}

std::string EventFile::find(const std::string& folder) {
  std::string newest;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(name_begin) && name > newest) newest = name;
  }
  return newest.empty() ? "" : folder + "/" + newest;
}

EventFile::Place EventFile::open(const std::string& folder, bool resume) {
  if (const std::string found = find(folder); resume && !found.empty()) {
    return {.path = found, .size = whole_records(read_file(found)), .continued = true};
  }
  char host[65] = {};
  if (::gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::string path =
      fmt::format("{}/{}{}.{}.{}.0", folder, name_begin,
                  std::chrono::duration_cast<std::chrono::seconds>(now).count(), host, ::getpid());
  const std::string version = event(0, bytes_field(3, "brain.Event:2"));
  write_file_atomically(path, version);
  return {.path = path, .size = version.size()};
}

EventFile::EventFile(const std::string& folder, std::optional<std::int64_t> resume_step)
    : EventFile(open(folder, resume_step.has_value())) {
  constexpr int session_log = 7, start = 1;
  if (!continued_) return;
  file_.append(
      event(*resume_step + 1, bytes_field(session_log, field(1, varint_type, varint(start)))));
}

void EventFile::append(std::int64_t step, const std::map<std::string, double>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += bytes_field(
        1, bytes_field(1, tag) + field(2, fixed32_type, bytes_of(static_cast<float>(value))));
  }
  file_.append(event(step, bytes_field(5, summary)));
}

}  // namespace hac
