#pragma once
// A log of one JSON object a line, appended and flushed at once, that survives kill -9.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hac {

class JsonLog {
 public:
  // Starts an empty log, or continues one: then a cut last line is dropped, and so is every line
  // whose "step" is above resume_step (the run goes back to that step and writes them again) or
  // whose "type" is "result" (it has another one at its end).
  // Throws IoError when the file cannot be written.
  explicit JsonLog(std::string path, std::optional<std::int64_t> resume_step = {});
  ~JsonLog();
  JsonLog(const JsonLog&) = delete;
  JsonLog& operator=(const JsonLog&) = delete;

  // object: the text of one JSON object, without line breaks. What the file does not take (disk
  // full) waits for the next append or flush.
  void append(std::string_view object);
  // Throws IoError where something still waits.
  void flush();

 private:
  bool write_waiting();

  std::string path_, waiting_;
  int fd_ = -1;
};

}  // namespace hac
