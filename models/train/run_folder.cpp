#include "models/train/run_folder.h"

#include <fmt/format.h>

#include <filesystem>

#include "engine/io/event_file.h"
#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "models/train/folder_lock.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

// Of earlier versions.
std::string best_weights(const std::string& folder) { return folder + "/best.safetensors"; }
std::string average_weights(const std::string& folder) { return folder + "/average.safetensors"; }

// A log without a line holds nothing.
std::string found_in(const std::string& folder) {
  for (const std::string& file :
       {last_weights(folder), model_weights(folder), best_weights(folder)}) {
    if (fs::exists(file)) return file;
  }
  std::error_code missing;
  const std::string log = training_log(folder);
  const std::uintmax_t bytes = fs::file_size(log, missing);
  if (!missing && bytes > 0) return log;
  if (fs::exists(training_settings(folder))) return "";
  // Of another program.
  for (const std::string& file : {folder + "/config.json", training_table(folder)}) {
    if (fs::exists(file)) return file;
  }
  return EventFile::find(folder);
}

void require_unused(const TrainConfig& c) {
  if (c.overwrite) return;
  const bool has_last = fs::exists(last_weights(c.out));
  const std::string found = found_in(c.out);
  if (found.empty() || (c.resume && has_last)) return;
  throw ConfigError(
      c.resume ? fmt::format("option '--resume': expected '{}', which is gone, beside '{}' (hint: "
                             "--overwrite starts again)",
                             last_weights(c.out), found)
               : fmt::format("option '--out': expected a new folder, got '{}', which holds a "
                             "training: '{}' (hint: {}--overwrite starts again)",
                             c.out, found, has_last ? "--resume continues it, " : ""));
}

}  // namespace

std::string last_weights(const std::string& folder) { return folder + "/last.safetensors"; }
std::string training_settings(const std::string& folder) { return folder + "/training.json"; }
std::string model_weights(const std::string& folder) { return folder + "/model.safetensors"; }
std::string training_log(const std::string& folder) { return folder + "/log.jsonl"; }
std::string training_table(const std::string& folder) { return folder + "/log.csv"; }

void require_usable(const TrainConfig& config) {
  if (!config.save_gradients.empty()) require_writable_file(config.save_gradients);
  if (config.out.empty()) return;
  require_makeable(config.out);
  require_free(config.out);
  require_unused(config);
}

bool prepare_run_folder(const TrainConfig& config) {
  require_unused(config);  // again: another process may have been here since
  remove_leftovers(config.out);
  if (config.resume && fs::exists(last_weights(config.out))) return true;
  for (const std::string& file :
       {last_weights(config.out), model_weights(config.out), best_weights(config.out),
        average_weights(config.out), training_log(config.out), training_table(config.out)}) {
    fs::remove(file);
  }
  for (std::string events; !(events = EventFile::find(config.out)).empty();) fs::remove(events);
  return false;
}

void adopt_earlier_weights(const TrainConfig& config) {
  const std::string model = model_weights(config.out);
  const bool best = selection(config) == Selection::best,
             average = weight_selection(config) == WeightSelection::average;
  const std::string earlier = best      ? best_weights(config.out)
                              : average ? average_weights(config.out)
                                        : last_weights(config.out);
  if (!fs::exists(model) && fs::exists(earlier)) fs::rename(earlier, model);
}

void require_best(const TrainConfig& config, std::int64_t best_epoch) {
  const std::string best = model_weights(config.out);
  if (best_epoch == 0 || selection(config) != Selection::best) return;
  adopt_earlier_weights(config);
  if (fs::exists(best)) return;
  throw ConfigError(
      fmt::format("option '--resume': expected '{}', the best so far, of epoch {}, got none (hint: "
                  "--overwrite starts again)",
                  best, best_epoch));
}

}  // namespace hac
