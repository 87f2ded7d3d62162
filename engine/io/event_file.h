#pragma once
// TensorBoard's event files: TFRecord frames with masked CRC32C (tensorflow/core/lib/io) around
// protobuf messages Event (tensorflow/core/util/event.proto), of which only scalars are written.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/io/appended_file.h"

namespace hac {

std::uint32_t crc32c(std::string_view bytes);  // Castagnoli, as in RFC 3720

class EventFile {
 public:
  // The newest events.out.tfevents.* of the folder, or "".
  static std::string find(const std::string& folder);
  // Starts a file in the folder; with resume_step continues the newest one if there is one: then a
  // cut last record is dropped, and a record tells readers to forget every step after that one,
  // which will come again. Throws IoError when it cannot be written.
  explicit EventFile(const std::string& folder, std::optional<std::int64_t> resume_step = {});

  bool continued() const { return continued_; }  // it has records of before
  // Values by tag; a tag's part before its first / is its section on the page.
  void append(std::int64_t step, const std::map<std::string, double>& scalars);
  // Throws IoError where the file did not take all of it.
  void flush() { file_.flush(); }

 private:
  struct Place {
    std::string path;
    std::uint64_t size = 0;
    bool continued = false;
  };
  static Place open(const std::string& folder, bool resume);
  explicit EventFile(const Place& place)
      : file_(place.path, place.size), continued_(place.continued) {}

  AppendedFile file_;
  bool continued_;
};

}  // namespace hac
