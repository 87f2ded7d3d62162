#include "scaling/experiment/trained_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/image/transforms.h"
#include "data/sets/holdout.h"
#include "engine/device/plan_options.h"
#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "models/train/run_folder.h"
#include "scaling/experiment/stage_cache.h"

namespace hac {

using nlohmann::json;

std::string data_key(const DataSplit& data) {
  constexpr std::int64_t kImages = 64;
  std::string content;
  for (const DatasetPtr& set : {data.train, data.test}) {
    content += fmt::format("{} images of {} classes\n", set->size(), set->classes().size());
    for (const std::string& name : set->classes()) content += name + '\0';
    content += fingerprint(*set);
    const std::int64_t step = std::max<std::int64_t>(1, set->size() / kImages);
    for (std::int64_t i = 0; i < set->size(); i += step) {
      const Sample sample = preprocess(set->read(i), set->preprocessing());
      content += fmt::format("{}:", set->label(i));
      content.append(sample.pixels.begin(), sample.pixels.end());
    }
  }
  return content_key(content);
}

NetworkCache::NetworkCache(std::string folder, std::string data_key, bool quiet,
                           TensorOptions where)
    : folder_(std::move(folder)), data_key_(std::move(data_key)), quiet_(quiet), where_(where) {
  make_folder(folder_);
}

const DataSplit& NetworkCache::data(const DataConfig& config) {
  const std::string key = fmt::format("{}|{}|{}|{}|{}", config.name, config.limit_train,
                                      config.limit_test, config.resolution, config.classes);
  const auto it = data_.find(key);
  return it != data_.end() ? it->second : data_.emplace(key, open_data(config)).first->second;
}

TrainedNetwork NetworkCache::train(const TrainingRequest& request) {
  const std::string plans = describe_plan_options(where_.device);
  const std::string place = where_ == TensorOptions{} && plans.empty()
                                ? ""
                                : fmt::format("\non {} {}", where_.str(), plans);
  const bool test = request.test || request.config.validation == 0;
  const std::string question = fmt::format(
      "{}\n{}\ndata {}\nobserve {}{}{}", hac::to_json(request.arch), hac::to_json(request.config),
      data_key_, request.observe, test ? "" : "\nuntested", place);
  const std::string folder = fmt::format("{}/{}", folder_, content_key(question));
  const bool best = selection(request.config) == Selection::best;
  const std::string answer = folder + "/result.json",
                    weights = best ? best_weights(folder) : last_weights(folder);
  const bool have_weights = std::filesystem::exists(weights);
  if (std::filesystem::exists(answer) && (have_weights || !request.keep_weights)) {
    const json stored = json::parse(read_file(answer), nullptr, false);
    if (stored.is_object() && stored.value("question", "") == question) {
      TrainedNetwork n;
      read_json(stored, Fields().add("result", n), answer, "", {.record = true});
      if (request.keep_weights) n.weights = weights;
      return n;
    }
  }

  TrainConfig config = request.config;
  config.out = folder;
  config.resume = std::filesystem::exists(last_weights(folder));
  config.overwrite = !config.resume;  // what is left of it when no weights were kept
  config.evaluate_test = test;
  if (!best) config.evaluate_every = std::max<std::int64_t>(1, config.epochs);
  config.quiet = quiet_;
  config.label = request.label;
  const DataSplit split = hold_out(data(config.data), config.validation, config.seed);
  Model model(request.arch, config.seed, where_.device, where_.dtype);
  ImportanceObserver observer(steps_per_epoch(split.train->size(), config.batch));
  const TrainResult run = hac::train(model, split, config, request.observe ? &observer : nullptr);
  if (run.interrupted) {
    throw Interrupted("interrupted; everything is saved (hint: the same command resumes it)");
  }
  TrainedNetwork n{.test = run.test, .validation = run.validation};
  if (request.observe) n.importance = observer.result(model);
  json stored = to_json(Fields().add("result", n));
  stored["question"] = question;
  write_file_atomically(answer, stored.dump() + "\n");
  if (request.keep_weights) n.weights = weights;
  for (const std::string& file : {last_weights(folder), best_weights(folder)}) {
    if (file != n.weights) std::filesystem::remove(file);
  }
  return n;
}

}  // namespace hac
