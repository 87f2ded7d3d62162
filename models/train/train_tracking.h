#pragma once
// Where the lines of a training's log go: log.jsonl always, and as the user asks log.csv and event
// files, both made from the same lines.

#include <cstdint>
#include <optional>
#include <string>

#include "engine/io/event_file.h"
#include "engine/io/log.h"
#include "models/train/train_config.h"

namespace hac {

class TrainTracking {
 public:
  // In config.out. A resumed run continues after resume_step: the table is written again from the
  // lines that are kept, event files are continued, or begun with those lines.
  TrainTracking(const TrainConfig& config, std::optional<std::int64_t> resume_step);

  // A line of train_log.h. What the disk does not take waits for the next one, or for flush(),
  // which throws IoError then.
  void append(const std::string& line);
  void flush();

 private:
  void track(const std::string& line, bool events);

  JsonLog lines_;
  std::vector<std::string> columns_;
  std::optional<AppendedFile> table_;
  std::optional<EventFile> events_;
};

}  // namespace hac
