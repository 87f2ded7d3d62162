#pragma once
// The folder of one training. What others use: model.safetensors, the weights that count so far and
// nothing else, and config.json (models/train/hub_config.h). What training keeps: training.json,
// architecture.json, log.jsonl and last.safetensors, to resume from. A result is never destroyed
// unasked.

#include <string>

#include "models/train/train_config.h"

namespace hac {

std::string last_weights(const std::string& folder);       // last.safetensors
std::string model_weights(const std::string& folder);      // model.safetensors
std::string training_settings(const std::string& folder);  // training.json
std::string training_log(const std::string& folder);       // log.jsonl
std::string training_table(const std::string& folder);     // log.csv

// Changes nothing. Throws ConfigError where config.out holds weights, a log or what another
// program left under these names, and neither resume nor overwrite is set, or resume is set without
// a last.safetensors to resume; IoError where the folder cannot be made or another process works in
// it. So also for save_gradients.
void require_usable(const TrainConfig& config);

// True if last.safetensors is resumed. Otherwise what an earlier one left is
// removed. The folder is this process's own (FolderLock).
bool prepare_run_folder(const TrainConfig& config);

// Before a training is resumed whose best epoch so far was that one (0: none yet). Throws
// ConfigError if its weights are gone.
void require_best(const TrainConfig& config, std::int64_t best_epoch);

// Earlier versions kept the weights that count as best.safetensors, average.safetensors or, of a
// training that was done, last.safetensors: renames them.
void adopt_earlier_weights(const TrainConfig& config);

}  // namespace hac
