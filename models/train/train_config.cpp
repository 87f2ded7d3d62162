#include "models/train/train_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "engine/parallel/group.h"
#include "kernels/core/error.h"

namespace hac {

void validate(const TrainConfig& c) {
  check(fields_of(c), "training");
  validate(c.transforms);
  if (c.batch % c.accumulate != 0 || (c.accumulate > 1 && c.batch < 2 * c.accumulate)) {
    throw ConfigError(fmt::format(
        "training 'accumulate': expected parts of equal size, of two images or more, got a batch "
        "of {} in {} parts (hint: a batch of {})",
        c.batch, c.accumulate,
        c.accumulate * std::max<std::int64_t>(2, ceil_div(c.batch, c.accumulate))));
  }
  if (c.sync_batchnorm && c.accumulate > 1) {
    throw ConfigError(fmt::format(
        "training 'sync_batchnorm': expected one part a rank, got 'accumulate' {} (hint: neither "
        "--shards nor --accumulate)",
        c.accumulate));
  }
  if (c.optimizer.kind == OptimizerKind::adamw && c.optimizer.nesterov) {
    throw ConfigError(
        "training 'nesterov': expected sgd or lars, got adamw, which has no momentum");
  }
  if (c.ema > 0 && c.swa > 0) {
    throw ConfigError("training 'ema': expected one average of the weights, got 'swa' too");
  }
  if (c.select_weights == WeightSelection::average && !averages(c)) {
    throw ConfigError(
        "training 'select_weights': expected plain, got average where none is kept (hint: --ema "
        "0.999 or --swa 0.75)");
  }
  if (!is_loss_scale(c.loss_scale)) {
    throw ConfigError(fmt::format(
        "training 'loss_scale': expected 0 (off) or a power of two from 1 to 2^30, got {}",
        c.loss_scale));
  }
  if (c.select == Selection::best && c.validation == 0) {
    throw ConfigError(
        "training 'select': best expects validation images to select by, got none (hint: "
        "--validation 0.1; the test set selects nothing)");
  }
}

std::int64_t parts_of_batch(const TrainConfig& c) {
  return c.sync_batchnorm && c.group ? c.group->size() : c.accumulate;
}

Selection selection(const TrainConfig& c) {
  return c.select.value_or(c.validation > 0 ? Selection::best : Selection::last);
}

bool averages(const TrainConfig& c) { return c.ema > 0 || c.swa > 0; }

bool mixes(const TrainConfig& c) { return c.mixup > 0 || c.cutmix > 0; }

WeightSelection weight_selection(const TrainConfig& c) {
  return c.select_weights.value_or(averages(c) ? WeightSelection::average : WeightSelection::plain);
}

const char* evaluated_set(const TrainConfig& c) { return c.validation > 0 ? "validation" : "test"; }

std::string shown_accuracy(const TrainConfig& c, const std::string& set) {
  const char* epoch = selection(c) == Selection::last ? "last epoch"
                      : set == "validation"           ? "best epoch"
                                                      : "epoch selected by validation";
  const bool averaged = weight_selection(c) == WeightSelection::average;
  return fmt::format("{} top-1 of the {}{}", set, epoch, averaged ? ", averaged weights" : "");
}

double initial_loss_scale(const TrainConfig& config, Dtype dtype) {
  return dtype == Dtype::f16 ? config.loss_scale : 0;
}

std::string to_json(const TrainConfig& c) {
  nlohmann::ordered_json j = to_json(fields_of(c));
  j["select"] = to_string(selection(c));
  j["weight_decay"] = weight_decay_of(c.optimizer);
  return j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace hac
