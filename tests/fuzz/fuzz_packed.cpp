// libFuzzer: packed files from hostile bytes. Only IoError may come out, and every image of what
// can be opened lies in the file.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "data/sets/packed_layout.h"
#include "kernels/core/error.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max);

namespace {

using namespace hac;

// An empty file that is whole.
std::string seed() {
  const std::string name = "/tmp/hac-fuzz-packed-" + std::to_string(static_cast<long>(::getpid()));
  PackedWriter writer(name, {.side = 4, .splits = {"train", "val"}, .classes = {"a", "b"}}, true);
  for (const int split : {0, 1}) {
    writer.add({.split = split,
                .label = 1,
                .height = 2,
                .width = 2,
                .name = "x",
                .bytes = std::string(12, 'y')});
  }
  writer.finish();
  std::string bytes(writer.size(), '\0');
  std::FILE* file = std::fopen(name.c_str(), "rb");
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
  std::fclose(file);
  ::unlink(name.c_str());
  return bytes;
}

}  // namespace

// Changes a whole file and repairs its checksums, or nothing but the first would ever be reached.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max, unsigned) {
  static const std::string whole = seed();
  if (size < whole.size() && whole.size() <= max) {
    std::memcpy(data, whole.data(), size = whole.size());
  }
  size = LLVMFuzzerMutate(data, size, max);
  packed::Footer footer{};
  packed::Header header{};
  if (size < sizeof header + sizeof footer) return size;
  std::memcpy(&header, data, sizeof header);
  std::memcpy(&footer, data + size - sizeof footer, sizeof footer);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::uint64_t end = size - sizeof footer;
  std::memcpy(footer.magic, packed::footer_magic.data(), sizeof footer.magic);
  footer.file_bytes = size;
  if (footer.index_at <= end) {
    footer.entries = (end - footer.index_at) / sizeof(PackedEntry);
    for (std::uint64_t at = footer.index_at; at + sizeof(PackedEntry) <= end;
         at += sizeof(PackedEntry)) {
      PackedEntry entry{};
      std::memcpy(&entry, data + at, sizeof entry);
      entry.crc = packed::crc_of(entry);
      std::memcpy(data + at, &entry, sizeof entry);
    }
    footer.index_crc = crc32_of(bytes.substr(footer.index_at, end - footer.index_at));
  }
  if (header.about_bytes <= end - sizeof header) {
    header.about_crc = crc32_of(bytes.substr(sizeof header, header.about_bytes));
  }
  footer.crc = packed::crc_of(footer);
  std::memcpy(data, &header, sizeof header);
  std::memcpy(data + size - sizeof footer, &footer, sizeof footer);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int memory = ::memfd_create("packed", MFD_CLOEXEC);
  if (::write(memory, data, size) != static_cast<ssize_t>(size)) __builtin_trap();
  try {
    const PackedFile file("/proc/self/fd/" + std::to_string(memory));
    for (std::size_t i = 0; i < file.entries().size(); ++i) {
      try {
        file.bytes(i);
      } catch (const IoError&) {
      }
    }
  } catch (const IoError&) {
  }
  ::close(memory);
  return 0;
}
