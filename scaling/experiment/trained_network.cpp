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
#include "models/train/folder_lock.h"
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

// Of what is kept in a folder, while train() has a lock of its own on the files of the training.
constexpr const char* result_lock = ".result.lock";

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
  if (!may_train_) throw TrainingsMissing({});
  make_folder(folder);
  const FolderLock lock(folder, result_lock);
  if (find_answer(file, question, n)) return n;
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

NetworkCache::Entry NetworkCache::entry(const TrainingRequest& request) const {
  Entry e{.config = config_for(request.arch, request.config)};
  e.test = request.test || e.config.validation == 0;
  e.question = fmt::format("{}\n{}\ndata {}\nobserve {}{}{}", hac::to_json(request.arch),
                           hac::to_json(e.config), data_key_, request.observe,
                           e.test ? "" : "\nuntested", place());
  e.folder = fmt::format("{}/{}", folder_, content_key(e.question));
  e.answer = e.folder + "/result.json";
  e.config.out = e.folder;
  return e;
}

std::string NetworkCache::key(const TrainingRequest& request) const {
  return content_key(entry(request).question);
}

std::optional<TrainedNetwork> NetworkCache::find(const TrainingRequest& request) const {
  return find(request, entry(request));
}

std::optional<TrainedNetwork> NetworkCache::find(const TrainingRequest& request,
                                                 const Entry& e) const {
  const std::string weights = model_weights(e.folder);
  TrainedNetwork n;
  if (!find_answer(e.answer, e.question, n)) return {};
  if (request.keep_weights) adopt_earlier_weights(e.config);
  if (request.keep_weights && !std::filesystem::exists(weights)) return {};
  if (n.details) validate(*n.details, e.answer);
  if (request.keep_weights) n.weights = weights;
  return n;
}

std::vector<TrainedNetwork> NetworkCache::train_all(const std::vector<TrainingRequest>& requests) {
  std::vector<TrainedNetwork> all;
  std::vector<TrainingTask> missing;
  for (const TrainingRequest& request : requests) {
    if (may_train_) {
      all.push_back(train(request));
    } else if (auto found = find(request)) {
      all.push_back(std::move(*found));
    } else {
      std::string name = request.label.substr(0, request.label.rfind(": "));
      missing.push_back({.key = key(request), .name = std::move(name), .request = request});
    }
  }
  if (!missing.empty()) throw TrainingsMissing(std::move(missing));
  return all;
}

TrainedNetwork NetworkCache::train(const TrainingRequest& request) {
  Entry e = entry(request);
  if (auto found = find(request, e)) return std::move(*found);
  const std::string& folder = e.folder;
  make_folder(folder);
  const FolderLock lock(folder, result_lock);
  if (auto found = find(request, e)) return std::move(*found);  // another process was faster

  TrainConfig& config = e.config;
  config.resume = std::filesystem::exists(last_weights(folder));
  config.overwrite = !config.resume;  // what is left of it when no weights were kept
  config.evaluate_test = e.test;
  if (selection(config) == Selection::last) {
    config.evaluate_every = std::max<std::int64_t>(1, config.epochs);
  }
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
  TrainedNetwork n{.test = run.test,
                   .validation = run.validation,
                   .cpu_seconds = cpu_seconds() - start,
                   .device = latency_source(where_).str()};
  if (request.test) {
    // Of a training that had ended before its result was kept, only the figures are left.
    if (!n.test.predictions) n.test.predictions = evaluate(model, split.test).predictions;
    n.details = eval_details(*split.test, *n.test.predictions);
  }
  if (request.observe) n.importance = observer.result(model);
  n.test.predictions = n.validation.predictions = nullptr;  // as of an answer that was kept
  keep_answer(e.answer, e.question, n);
  if (request.keep_weights) n.weights = model_weights(folder);
  for (const std::string& file : {last_weights(folder), model_weights(folder), spent_file}) {
    if (file != n.weights) std::filesystem::remove(file);
  }
  return n;
}

}  // namespace hac
