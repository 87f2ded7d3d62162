#include "models/train/train_tracking.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/io/csv.h"
#include "engine/io/file.h"
#include "models/train/run_folder.h"
#include "models/train/train_log.h"

namespace hac {
namespace {

using nlohmann::ordered_json;

// Those of a line with everything that this training may say.
std::vector<std::string> columns_of(const TrainConfig& config) {
  EpochRecord full{.evaluated = EvalResult{}};
  if (averages(config)) full.average = EvalResult{};
  full.scaled = config.loss_scale > 0 && config.dtype == Dtype::f16;
  const ordered_json line = ordered_json::parse(log_line(full, config));
  std::vector<std::string> columns;
  for (const auto& [key, value] : line.items()) {
    if (key != "type") columns.push_back(key);
  }
  return columns;
}

// "validation_loss" -> "loss/validation", so that one chart has all losses.
std::string tag_of(const std::string& key) {
  for (const std::string figure : {"loss", "top1", "top5"}) {
    if (key.ends_with("_" + figure)) {
      return figure + "/" + key.substr(0, key.size() - figure.size() - 1);
    }
  }
  return key;
}

std::map<std::string, double> scalars_of(const ordered_json& line) {
  const bool result = line["type"] == "result";  // validation figures are those of an epoch
  std::map<std::string, double> scalars;
  for (const auto& [key, value] : line.items()) {
    if (!value.is_number() || key == "step" || key == "epoch") continue;
    if (!result || key.starts_with("test_")) scalars[tag_of(key)] = value;
  }
  return scalars;
}

std::vector<std::string> kept_lines(const TrainConfig& config) {
  std::istringstream text(read_file(training_log(config.out)));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

bool asks_for(const TrainConfig& config, LogFormat format) {
  return std::find(config.log.begin(), config.log.end(), format) != config.log.end();
}

}  // namespace

TrainTracking::TrainTracking(const TrainConfig& config, std::optional<std::int64_t> resume_step)
    : lines_(training_log(config.out), resume_step) {
  // What a resumed run has of them is continued, asked for or not.
  const bool resumed = resume_step.has_value();
  if (asks_for(config, LogFormat::csv) ||
      (resumed && std::filesystem::exists(training_table(config.out)))) {
    columns_ = columns_of(config);
    const std::string head = csv_line(columns_);
    write_file_atomically(training_table(config.out), head);
    table_.emplace(training_table(config.out), head.size());
  }
  if (asks_for(config, LogFormat::tensorboard) ||
      (resumed && !EventFile::find(config.out).empty())) {
    events_.emplace(config.out, resume_step);
  }
  for (const std::string& line : kept_lines(config)) {
    track(line, events_ && !events_->continued());
  }
}

void TrainTracking::append(const std::string& line) {
  lines_.append(line);
  track(line, true);
}

void TrainTracking::flush() {
  lines_.flush();
  if (table_) table_->flush();
  if (events_) events_->flush();
}

void TrainTracking::track(const std::string& text, bool events) {
  const ordered_json line = ordered_json::parse(text);
  const std::string type = line.value("type", "");
  if (table_ && type == "epoch") {
    std::vector<std::string> cells;
    for (const std::string& column : columns_) {
      const auto cell = line.find(column);
      cells.push_back(cell == line.end() ? "" : cell->dump());
    }
    table_->append(csv_line(cells));
  }
  if (events && events_ && (type == "epoch" || type == "result")) {
    events_->append(line.at("step"), scalars_of(line));
  }
}

}  // namespace hac
