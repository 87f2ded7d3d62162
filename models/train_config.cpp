#include "models/train_config.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/error.h"

namespace hac {

void validate(const TrainConfig& c) {
  const auto require = [](bool ok, const char* field, const char* expected, double got) {
    if (!ok)
      throw ConfigError(fmt::format("training '{}': expected {}, got {}", field, expected, got));
  };
  require(c.epochs >= 0 && c.epochs <= 100000, "epochs", "0 to 100000", c.epochs);
  require(c.batch >= 1 && c.batch <= 65536, "batch", "1 to 65536", c.batch);
  require(c.max_steps >= -1, "max-steps", ">= 0", c.max_steps);
  require(c.evaluate_every >= 1, "evaluate-every", ">= 1", c.evaluate_every);
  require(c.sgd.momentum >= 0 && c.sgd.momentum < 1, "momentum", "[0, 1)", c.sgd.momentum);
  require(c.sgd.weight_decay >= 0, "weight-decay", ">= 0", c.sgd.weight_decay);
  require(c.label_smoothing >= 0 && c.label_smoothing < 1, "label-smoothing", "[0, 1)",
          c.label_smoothing);
  require(c.mixup >= 0 && c.mixup <= 100, "mixup", "0 (off) to 100", c.mixup);
  require(is_loss_scale(c.loss_scale), "loss-scale", "0 (off) or a power of two from 1 to 2^30",
          c.loss_scale);
  require(std::isfinite(c.validation) && c.validation >= 0, "validation",
          "a fraction below 1 or a number of images", c.validation);
  if (!c.select.empty() && c.select != "best" && c.select != "last") {
    throw ConfigError(
        fmt::format("training 'select': expected best or last, got '{}'", c.select.substr(0, 40)));
  }
  if (c.select == "best" && c.validation == 0) {
    throw ConfigError(
        "training 'select': best expects validation images to select by, got none (hint: "
        "--validation 0.1; the test set selects nothing)");
  }
  validate(c.schedule);
}

std::string selection(const TrainConfig& c) {
  return !c.select.empty() ? c.select : c.validation > 0 ? "best" : "last";
}

const char* evaluated_set(const TrainConfig& c) { return c.validation > 0 ? "validation" : "test"; }

std::string shown_accuracy(const TrainConfig& c, const std::string& set) {
  const char* epoch = selection(c) == "last" ? "last epoch"
                      : set == "validation"  ? "best epoch"
                                             : "epoch selected by validation";
  return fmt::format("{} top-1 of the {}", set, epoch);
}

double initial_loss_scale(const TrainConfig& config, Dtype dtype) {
  return dtype == Dtype::f16 ? config.loss_scale : 0;
}

std::string to_json(const TrainConfig& c) {
  nlohmann::ordered_json j;
  j["data"] = {{"name", c.data.name},
               {"limit_train", c.data.limit_train},
               {"limit_test", c.data.limit_test},
               {"resolution", c.data.resolution},
               {"classes", c.data.classes}};
  if (c.data.bad_images != "error") j["data"]["bad_images"] = c.data.bad_images;
  j["epochs"] = c.epochs;
  j["batch"] = c.batch;
  j["momentum"] = c.sgd.momentum;
  j["weight_decay"] = c.sgd.weight_decay;
  j["nesterov"] = c.sgd.nesterov;
  j["schedule"] = {{"kind", c.schedule.kind},     {"lr", c.schedule.lr},
                   {"warmup", c.schedule.warmup}, {"milestones", c.schedule.milestones},
                   {"gamma", c.schedule.gamma},   {"beta", c.schedule.beta}};
  // Checkpoints of before there were styles do not name theirs, which was multiply.
  if (c.schedule.warmup > 0 && c.schedule.warmup_style != "multiply") {
    j["schedule"]["warmup_style"] = c.schedule.warmup_style;
  }
  j["label_smoothing"] = c.label_smoothing;
  j["augment"] = c.augment;
  if (c.mixup > 0) j["mixup"] = c.mixup;  // off is as if it were not there
  if (c.dtype != Dtype::f32) j["dtype"] = name_of(c.dtype);
  if (c.dtype == Dtype::f16) j["loss_scale"] = c.loss_scale;
  j["shuffle"] = c.shuffle;
  j["seed"] = c.seed;
  if (c.validation > 0) j["validation"] = c.validation;
  j["select"] = selection(c);
  return j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace hac
