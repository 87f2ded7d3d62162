#pragma once
// The folder of one training: config.json, architecture.json, log.jsonl, last.safetensors and,
// where images are held out, best.safetensors. A result is never destroyed unasked.

#include <string>

#include "models/train/train_config.h"

namespace hac {

std::string last_weights(const std::string& folder);     // last.safetensors
std::string best_weights(const std::string& folder);     // best.safetensors
std::string average_weights(const std::string& folder);  // average.safetensors
// Those that count once a training is done: best, average or last.
std::string selected_weights(const TrainConfig& config);
std::string training_log(const std::string& folder);    // log.jsonl
std::string training_table(const std::string& folder);  // log.csv

// Changes nothing. Throws ConfigError where config.out holds any of the three files and neither
// resume nor overwrite is set, or resume is set without a last.safetensors to resume; IoError
// where the folder cannot be made or another process works in it. So also for save_gradients.
void require_usable(const TrainConfig& config);

// True if last.safetensors is resumed. Otherwise what an earlier one left is
// removed. The folder is this process's own (FolderLock).
bool prepare_run_folder(const TrainConfig& config);

// Before a training is resumed whose best epoch so far was that one (0: none yet). Throws
// ConfigError if its weights are gone.
void require_best(const TrainConfig& config, std::int64_t best_epoch);

}  // namespace hac
