#include "models/train/train_log.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "kernels/core/machine.h"
#include "models/train/checkpoint.h"

namespace hac {
namespace {

using nlohmann::ordered_json;

void add(ordered_json& line, const std::string& set, const EvalResult& result) {
  line.update(
      {{set + "_loss", result.loss}, {set + "_top1", result.top1}, {set + "_top5", result.top5}});
}

}  // namespace

std::string log_line(const EpochRecord& r, const TrainConfig& config) {
  ordered_json line{{"type", "epoch"}, {"epoch", r.epoch},           {"step", r.step},
                    {"lr", r.lr},      {"train_loss", r.train_loss}, {"train_top1", r.train_top1}};
  if (r.evaluated) add(line, evaluated_set(config), *r.evaluated);
  if (r.average) add(line, std::string("average_") + evaluated_set(config), *r.average);
  if (r.scaled) line.update({{"loss_scale", r.loss_scale}, {"skipped_steps", r.skipped_steps}});
  line.update({{"images_per_second", r.images_per_second},
               {"seconds", r.seconds},
               {"tensor_peak_bytes", r.tensor_peak_bytes},
               {"resident_peak_bytes", peak_resident_bytes()}});
  return line.dump();
}

std::string message(const EpochRecord& r, const TrainConfig& config) {
  const std::string average =
      r.average ? fmt::format(", averaged {:.2f} %", 100 * r.average->top1) : "";
  return fmt::format("{}epoch {}/{}  {} loss {:.4f}  {} top-1 {:.2f} %{}{}\n", config.label,
                     r.epoch, config.epochs, evaluated_set(config), r.evaluated->loss,
                     evaluated_set(config), 100 * r.evaluated->top1, average,
                     r.best ? "  best" : "");
}

std::string log_line(const TrainResult& r, const TrainConfig& config) {
  const bool tested = r.test.images > 0;
  ordered_json line{{"type", "result"},
                    {"step", r.steps},
                    {"select", to_string(selection(config))},
                    {"epoch", r.epoch},
                    {"accuracy", shown_accuracy(config, tested ? "test" : "validation")}};
  if (averages(config)) line["weights"] = to_string(weight_selection(config));
  add(line, "validation", r.validation);
  if (tested) add(line, "test", r.test);
  return line.dump();
}

std::optional<ScheduleChange> schedule_change(const TrainConfig& config, const TrainPosition& at,
                                              std::int64_t steps_per_epoch) {
  if (at.step == 0) return {};
  const auto rate = [&](std::int64_t step, std::int64_t epochs) {
    return learning_rate(config.schedule, step, steps_per_epoch, epochs);
  };
  const ScheduleChange change{.step = at.step,
                              .epochs_before = at.epochs,
                              .rate_before = rate(at.step - 1, at.epochs),
                              .rate = rate(at.step, config.epochs)};
  if (rate(at.step, at.epochs) == change.rate) return {};
  return change;
}

std::string log_line(const ScheduleChange& c, const TrainConfig& config) {
  // One step ahead: the line belongs to what this run will do, not to what it resumes.
  return ordered_json{
      {"type", "schedule"},      {"step", c.step + 1},         {"epochs_before", c.epochs_before},
      {"epochs", config.epochs}, {"lr_before", c.rate_before}, {"lr", c.rate}}
      .dump();
}

std::string message(const ScheduleChange& c, const TrainConfig& config) {
  return fmt::format(
      "{}the schedule has changed with --epochs, {} before and {} now: the learning rate was "
      "{:.4g} and continues from {:.4g}\n",
      config.label, c.epochs_before, config.epochs, c.rate_before, c.rate);
}

}  // namespace hac
