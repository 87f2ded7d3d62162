#include "models/train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/io/safetensors.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

using nlohmann::json;

constexpr const char* kObserver = "observer.";

// Doubles go as text with all their digits: a resumed run logs the same numbers.
std::string exact(double x) { return fmt::format("{:.17g}", x); }

void add(json& to, const std::string& name, const EvalResult& result) {
  to.update({{name + "_loss", exact(result.loss)},
             {name + "_top1", exact(result.top1)},
             {name + "_top5", exact(result.top5)},
             {name + "_images", result.images}});
}

json to_json(const TrainPosition& p, const char* evaluated_set) {
  json j{{"step", p.step},     {"epoch", p.epoch},     {"batch", p.batch},
         {"images", p.images}, {"correct", p.correct}, {"loss_sum", exact(p.loss_sum)}};
  add(j, evaluated_set, p.evaluated);
  if (p.average.images > 0) add(j, "average", p.average);
  if (p.best_epoch > 0) {
    j["best_epoch"] = p.best_epoch;
    add(j, "best", p.best);
  }
  return j;
}

TrainPosition position_from(const json& j, const std::string& evaluated_set) {
  const auto exact = [&](const std::string& key) {
    return std::stod(j.at(key).get<std::string>());
  };
  const auto result = [&](const std::string& name) {
    return EvalResult{.loss = exact(name + "_loss"),
                      .top1 = exact(name + "_top1"),
                      .top5 = exact(name + "_top5"),
                      .images = j.at(name + "_images")};
  };
  TrainPosition p;
  p.step = j.at("step");
  p.epoch = j.at("epoch");
  p.batch = j.at("batch");
  p.images = j.at("images");
  p.correct = j.at("correct");
  p.loss_sum = exact("loss_sum");
  p.evaluated = result(evaluated_set);
  if (j.contains("average_loss")) p.average = result("average");
  p.best_epoch = j.value("best_epoch", 0);
  if (p.best_epoch > 0) p.best = result("best");
  if (p.step < 0 || p.epoch < 0 || p.batch < 0) throw IoError("negative position");
  return p;
}

// Moves the tensors whose names start with prefix out of `from`.
std::map<std::string, Tensor> take(std::map<std::string, Tensor>& from, const std::string& prefix) {
  std::map<std::string, Tensor> taken;
  for (auto it = from.lower_bound(prefix); it != from.end() && it->first.starts_with(prefix);) {
    taken.insert(*it);
    it = from.erase(it);
  }
  return taken;
}

DatasetInfo set_of(const json& training) {
  return dataset_info(training.at("data").at("name").get<std::string>());
}

// As selection() does.
bool selects_best(const json& training) {
  const auto select = training.find("select");
  if (select != training.end() && select->is_string()) return *select == "best";
  return training.value("validation", 0.0) > 0;
}

// What to do about a field that differs.
const char* hint(const json& was, json is, const std::string& key) {
  const bool styled = key == "schedule" && is[key].erase("warmup_style") > 0;
  return styled && is[key] == was[key] ? "--warmup-style multiply" : "the same options";
}

// Once its images are known to be the same, where an image folder or a packed file lies is no
// difference, nor what would have become of bad ones.
void require_same_run(const std::string& path, const std::string& was, const std::string& is,
                      bool images_known) {
  json a = json::parse(was), b = json::parse(is);
  const DatasetInfo set = set_of(a);
  if (images_known && !set.argument.empty() && set.name == set_of(b).name) {
    a["data"]["name"] = b["data"]["name"];
    for (json* j : {&a, &b}) (*j)["data"].erase("bad_images");
  }
  const auto text = [](const json& j, const std::string& key) {
    return j.contains(key) ? j[key].dump() : "nothing";
  };
  json either = a;
  either.update(b);
  for (const auto& [key, value] : either.items()) {
    // Of an earlier choice of the last epoch the weights of the best were not kept.
    const bool free = key == "epochs" || (key == "select" && (selects_best(a) || !selects_best(b)));
    if (free || text(a, key) == text(b, key)) continue;
    throw ConfigError(
        fmt::format("resume '{}': it was trained with {} = {}, this run has {} "
                    "(hint: {}, or another --out)",
                    path, key, text(a, key), text(b, key), hint(a, b, key)));
  }
}

// Checkpoints of before the images were kept: fewer or more of them give other epochs.
void require_place(const std::string& path, const TrainPosition& p, const TrainedOn& data,
                   std::int64_t batch) {
  std::int64_t images = 0;
  for (const ClassImages& c : data.train) images += c.images;
  const std::int64_t batches = steps_per_epoch(images, batch);
  if (p.step == p.epoch * batches + p.batch && p.batch <= batches) return;
  throw ConfigError(fmt::format(
      "resume '{}': it stopped after step {}, in batch {} of epoch {}, which {} images in "
      "batches of {} do not give (hint: the same images, or another --out)",
      path, p.step, p.batch, p.epoch, images, batch));
}

using Metadata = std::map<std::string, std::string>;

Metadata metadata_of(const Model& model, const TrainedOn& data) {
  Metadata all = to_metadata(data);
  all["format"] = "pt";
  all["architecture"] = to_json(model.arch());
  return all;
}

Metadata metadata_of(const Model& model, const TrainConfig& config, const TrainPosition& position,
                     const TrainedOn& data) {
  Metadata all = metadata_of(model, data);
  all["training"] = to_json(config);
  all["position"] = to_json(position, evaluated_set(config)).dump();
  return all;
}

const std::string& metadata(const Metadata& all, const std::string& path, const char* key) {
  const auto it = all.find(key);
  if (it == all.end()) {
    throw IoError(fmt::format("checkpoint '{}': no '{}' in its metadata", path, key));
  }
  return it->second;
}

}  // namespace

TensorFile checkpoint(const Training& training, const TrainConfig& config,
                      const TrainPosition& position, const TrainedOn& data) {
  const auto& [model, optimizer, average, observer] = training;
  TensorFile file{.tensors = model.state(), .metadata = metadata_of(model, config, position, data)};
  file.tensors.merge(optimizer.state());
  file.tensors.merge(average.state());
  if (observer) {
    for (const auto& [name, tensor] : observer->state()) file.tensors[kObserver + name] = tensor;
  }
  return file;
}

TensorFile weights_alone(const Training& training, const TrainConfig& config,
                         const TrainPosition& position, const TrainedOn& data) {
  const bool average =
      weight_selection(config) == WeightSelection::average && training.average.begun();
  TensorFile file{.tensors = average ? training.average.weights() : training.model.state(),
                  .metadata = metadata_of(training.model, config, position, data)};
  if (average) file.metadata["weights"] = to_string(WeightSelection::average);
  return file;
}

TensorFile weights_alone(const Model& model, const TrainedOn& data) {
  return {.tensors = model.state(), .metadata = metadata_of(model, data)};
}

TrainPosition load_checkpoint(const std::string& path, const Training& training,
                              const TrainConfig& config, const TrainedOn& data) {
  const auto& [model, optimizer, average, observer] = training;
  TensorFile file = load_safetensors(path);
  const std::optional<TrainedOn> was = trained_on(file.metadata, path);
  const std::string &trained = metadata(file.metadata, path, "training"),
                    &where = metadata(file.metadata, path, "position");
  try {
    require_same_run(path, trained, to_json(config), was && !was->train.empty());
    if (was) require_same_data(path, *was, data);  // which seed and validation decide, too
    if (metadata(file.metadata, path, "architecture") != to_json(model.arch())) {
      throw ConfigError(fmt::format("resume '{}': it holds another architecture than '{}'", path,
                                    model.arch().name));
    }
    TrainPosition position = position_from(json::parse(where), evaluated_set(config));
    position.epochs = json::parse(trained).at("epochs");
    require_place(path, position, data, config.batch);
    std::map<std::string, Tensor> state;
    for (const std::string_view prefix : optimizer_state) {
      state.merge(take(file.tensors, std::string(prefix)));
    }
    const auto averaged = take(file.tensors, std::string(average_prefix));
    std::map<std::string, Tensor> observed;
    for (const auto& [name, tensor] : take(file.tensors, kObserver)) {
      observed[name.substr(std::string(kObserver).size())] = tensor;
    }
    for (const auto& [name, tensor] : state) {
      if (tensor.dtype() == Dtype::f32 && !all_finite(tensor)) {
        throw IoError(name + " is not finite");
      }
    }
    model.load_state(file.tensors);
    optimizer.load_state(state);
    average.load_state(averaged);
    if (observer) observer->load_state(observed);
    return position;
  } catch (const json::exception& e) {
    throw IoError(fmt::format("checkpoint '{}': {}", path, e.what()));
  } catch (const std::logic_error&) {  // std::stod
    throw IoError(fmt::format("checkpoint '{}': a number in its position is malformed", path));
  } catch (const IoError& e) {
    throw IoError(fmt::format("checkpoint '{}': {}", path, e.what()));
  }
}

Architecture checkpoint_architecture(const std::string& path) {
  const SafetensorsReader file(path);
  try {
    return architecture_from_json(metadata(file.metadata(), path, "architecture"));
  } catch (const ConfigError& e) {
    throw IoError(fmt::format("checkpoint '{}': {}", path, e.what()));
  }
}

bool has_architecture(const std::string& path) {
  return SafetensorsReader(path).metadata().contains("architecture");
}

std::map<std::string, Tensor> checkpoint_average(const std::string& path) {
  TensorFile file = load_safetensors(path);
  std::map<std::string, Tensor> average;
  for (const auto& [name, tensor] : take(file.tensors, std::string(average_prefix))) {
    const std::string own = name.substr(average_prefix.size());
    if (file.tensors.contains(own)) average[own] = tensor;  // all but the count
  }
  if (average.empty()) throw IoError(fmt::format("checkpoint '{}': keeps no average", path));
  return average;
}

std::optional<TrainedOn> checkpoint_data(const std::string& path) {
  return trained_on(SafetensorsReader(path).metadata(), path);
}

}  // namespace hac
