#include "scaling/experiment/trained_network.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/image/transforms.h"
#include "data/sets/derived_set.h"
#include "data/sets/holdout.h"
#include "engine/device/plan_options.h"
#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "models/train/run_folder.h"
#include "scaling/experiment/stage_cache.h"
#include "scaling/latency/latency_source.h"

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

namespace {

// What a network is trained on. Photographs are prepared at the size that it reads, whatever the
// baseline's is: enlarged from that, a larger input would show nothing more.
TrainConfig config_for(const Architecture& arch, TrainConfig config) {
  if (dataset_info(config.data.name).photographs) config.data.resolution = arch.resolution;
  return config;
}

DataSplit at_resolution(DataSplit data, std::int64_t resolution) {
  for (DatasetPtr* set : {&data.train, &data.test}) {
    Preprocessing p = (*set)->preprocessing();
    p.resolution = resolution;
    *set = preprocessed(*set, p);
  }
  return data;
}

}  // namespace

const DataSplit& NetworkCache::data(const DataConfig& config) {
  const std::pair key(fmt::format("{}|{}|{}|{}", config.name, config.limit_train, config.limit_test,
                                  config.classes),
                      config.resolution);
  const auto it = data_.find(key), other = data_.lower_bound({key.first, 0});
  if (it != data_.end()) return it->second;
  const bool opened = dataset_info(config.name).photographs && other != data_.end() &&
                      other->first.first == key.first;
  return data_
      .emplace(key, opened ? at_resolution(other->second, config.resolution) : open_data(config))
      .first->second;
}

namespace {

// Of all threads of this process.
double cpu_seconds() {
  timespec now = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// What interrupted runs of a training took; 0 where none was.
double spent(const std::string& file) {
  if (!std::filesystem::exists(file)) return 0;
  const json stored = json::parse(read_file(file), nullptr, false);
  return stored.is_number() ? stored.get<double>() : 0;
}

// Whether the file holds the answer to this question, which is read then.
bool find_answer(const std::string& file, const std::string& question, const Value& answer) {
  if (!std::filesystem::exists(file)) return false;
  const json stored = json::parse(read_file(file), nullptr, false);
  if (!stored.is_object() || stored.value("question", "") != question) return false;
  read_json(stored, Fields().add("result", answer), file, "", {.record = true});
  return true;
}

void keep_answer(const std::string& file, const std::string& question, const Value& answer) {
  json stored = to_json(Fields().add("result", answer));
  stored["question"] = question;
  write_file_atomically(file, stored.dump() + "\n");
}

}  // namespace

std::string NetworkCache::place() const {
  const std::string plans = describe_plan_options(where_.device);
  return where_ == TensorOptions{} && plans.empty()
             ? ""
             : fmt::format("\non {} {}", where_.str(), plans);
}

PrunedNetwork NetworkCache::prune(const Architecture& arch, const TrainConfig& training,
                                  const PruneOptions& options) {
  const TrainConfig config = config_for(arch, training);
  PruneOptions asked = options;
  const std::string question =
      fmt::format("{}\n{}\ndata {}\nprune {}{}", hac::to_json(arch), hac::to_json(config),
                  data_key_, to_json(fields_of(asked)).dump(), place());
  const std::string folder = fmt::format("{}/{}", folder_, content_key(question)),
                    file = folder + "/result.json";
  PrunedNetwork n;
  if (find_answer(file, question, n)) return n;
  make_folder(folder);
  TrainConfig shown = config;
  shown.quiet = quiet_;
  shown.label = "pruning: ";
  const double start = cpu_seconds();
  n.rows = hac::prune(arch, hold_out(data(config.data), config.validation, config.seed), shown,
                      options, where_);
  n.cpu_seconds = cpu_seconds() - start;
  n.device = latency_source(where_).str();
  keep_answer(file, question, n);
  return n;
}

TrainedNetwork NetworkCache::train(const TrainingRequest& request) {
  TrainConfig config = config_for(request.arch, request.config);
  const bool test = request.test || config.validation == 0;
  const std::string question = fmt::format(
      "{}\n{}\ndata {}\nobserve {}{}{}", hac::to_json(request.arch), hac::to_json(config),
      data_key_, request.observe, test ? "" : "\nuntested", place());
  const std::string folder = fmt::format("{}/{}", folder_, content_key(question));
  const bool best = selection(config) == Selection::best;
  config.out = folder;
  const std::string answer = folder + "/result.json", weights = model_weights(folder);
  const bool have_weights = std::filesystem::exists(weights);
  TrainedNetwork n;
  if ((have_weights || !request.keep_weights) && find_answer(answer, question, n)) {
    if (n.details) validate(*n.details, answer);
    if (request.keep_weights) n.weights = weights;
    return n;
  }

  config.resume = std::filesystem::exists(last_weights(folder));
  config.overwrite = !config.resume;  // what is left of it when no weights were kept
  config.evaluate_test = test;
  if (!best) config.evaluate_every = std::max<std::int64_t>(1, config.epochs);
  config.quiet = quiet_;
  config.label = request.label;
  const DataSplit split = hold_out(data(config.data), config.validation, config.seed);
  Model model(request.arch, config.seed, where_.device, where_.dtype);
  ImportanceObserver observer(steps_per_epoch(split.train->size(), config.batch));
  const std::string spent_file = folder + "/cpu_seconds.json";
  const double start = cpu_seconds() - (config.resume ? spent(spent_file) : 0);
  const TrainResult run = hac::train(model, split, config, request.observe ? &observer : nullptr);
  if (run.interrupted) {
    write_file_atomically(spent_file, json(cpu_seconds() - start).dump() + "\n");
    throw Interrupted("interrupted; everything is saved (hint: the same command resumes it)");
  }
  n = {.test = run.test,
       .validation = run.validation,
       .cpu_seconds = cpu_seconds() - start,
       .device = latency_source(where_).str()};
  if (request.test) {
    // Of a training that had ended before its result was kept, only the figures are left.
    if (!n.test.predictions) n.test.predictions = evaluate(model, split.test).predictions;
    n.details = eval_details(*split.test, *n.test.predictions);
  }
  if (request.observe) n.importance = observer.result(model);
  keep_answer(answer, question, n);
  if (request.keep_weights) n.weights = weights;
  for (const std::string& file : {last_weights(folder), model_weights(folder), spent_file}) {
    if (file != n.weights) std::filesystem::remove(file);
  }
  return n;
}

}  // namespace hac
