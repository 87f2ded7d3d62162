#pragma once
// A log of one JSON object a line, appended and flushed at once, that survives kill -9.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/io/appended_file.h"

namespace hac {

class JsonLog {
 public:
  // Starts an empty log, or continues one: then a cut last line is dropped, and so is every line
  // whose "step" is above resume_step (the run goes back to that step and writes them again) or
  // whose "type" is "result" (it has another one at its end).
  // Throws IoError when the file cannot be written.
  explicit JsonLog(const std::string& path, std::optional<std::int64_t> resume_step = {});

  // object: the text of one JSON object, without line breaks.
  void append(std::string_view object) { file_.append(std::string(object) + '\n'); }
  // Throws IoError where the file did not take all of it.
  void flush() { file_.flush(); }

 private:
  AppendedFile file_;
};

}  // namespace hac
