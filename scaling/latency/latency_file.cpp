// A latency model as a file, the one format of saved models and of device files (README).

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "scaling/latency/latency.h"
#include "scaling/latency/latency_parts.h"

namespace hac {

namespace {

nlohmann::ordered_json json_of(const TimedNetwork& network) {
  nlohmann::ordered_json json = to_json(fields_of(network.timing));
  json["architecture"] = nlohmann::ordered_json::parse(to_json(network.arch));
  return json;
}

// Of a model in this type.
TimedNetwork network_from(const nlohmann::json& json, Dtype dtype, const std::string& what) {
  TimedNetwork network;
  read_json(json, network.timing.fields(), what, "", {.others = {"architecture"}});
  try {
    network.arch = architecture_from_json(json.value("architecture", nlohmann::json()).dump());
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("{}: {}", what, error.what()));
  }
  network.timing.graph = fuse(lower(network.arch, 1, dtype));
  return network;
}

std::vector<TimedNetwork> networks_from(const nlohmann::json& list, Dtype dtype,
                                        const std::string& what) {
  if (!list.is_array()) {
    throw ConfigError(fmt::format("{} 'networks': expected a list, got {}", what, shown(list)));
  }
  std::vector<TimedNetwork> networks;
  std::vector<NetworkTiming> timings;
  for (const nlohmann::json& network : list) {
    const std::string which = fmt::format("{}, network {}", what, networks.size());
    networks.push_back(network_from(network, dtype, which));
    timings.push_back(networks.back().timing);
  }
  if (!timings.empty()) timed_layers(timings);  // throws for times that are none
  return networks;
}

}  // namespace

std::string to_json(const LatencyModel& model) {
  std::optional<LatencySource> source = model.source;
  std::optional<LatencyError> error = model.error;
  std::optional<Staircase> staircase = model.staircase;
  Fields fields = Fields().add("model", AnyValue(model.name())).add(fields_of(model));
  fields.add("measured_on", source).add("error", error).add("staircase", staircase);
  nlohmann::ordered_json json = to_json(fields);
  for (const TimedNetwork& network : model.networks) json["networks"].push_back(json_of(network));
  return json.dump(1);
}

// What a file may hold: a fitted model, or one of a device profile.
enum class SavedModel : std::uint8_t { table, regression, device };
template <>
inline constexpr std::string_view enum_names<SavedModel>[] = {"table", "regression", "device"};

LatencyModelPtr latency_model_from_json(const std::string& text) {
  const std::string what = "latency model";
  nlohmann::json json = parse_json(text, what);
  std::string name;
  const auto it = json.find("model");
  if (it != json.end() && it->is_string()) name = *it;
  auto kind = parse<SavedModel>(name, what + " 'model'");
  std::optional<LatencySource> source;
  std::optional<LatencyError> error;
  std::optional<Staircase> staircase;
  const nlohmann::json networks = json.value("networks", nlohmann::json::array());
  json.erase("networks");  // the fit is read without them
  const Fields common = Fields()
                            .add("model", kind)
                            .add("measured_on", source)
                            .add("error", error)
                            .add("staircase", staircase, {.optional = true});
  std::shared_ptr<LatencyModel> model;
  if (kind == SavedModel::table) model = latency_table_from_json(json, common);
  if (kind == SavedModel::regression) model = latency_regression_from_json(json, common);
  if (kind == SavedModel::device) {
    model = device_model_from_json(json, common, source);
    source = model->source;  // says that it is modelled, whatever the file leaves out
  }
  model->source = source;
  model->error = error;
  model->staircase = staircase;
  model->networks = networks_from(networks, model->dtype(), what);
  return model;
}

void require_source(const LatencyModel& model, const LatencySource& here, const std::string& file,
                    const std::string& consent) {
  const std::string difference = model.source
                                     ? first_difference(here, *model.source)
                                     : "expected to read what it was measured on, got none";
  if (difference.empty()) return;
  throw ConfigError(fmt::format("latency model '{}': {} (hint: measure again, or {})", file,
                                difference, consent));
}

void require_steady(const LatencyModel& model, const std::string& file) {
  if (!model.error || model.error->unsteady == 0) return;
  throw ConfigError(fmt::format(
      "latency model '{}': expected times of an idle machine, got {} of {} networks that a busy "
      "one "
      "disturbed (hint: measure again; --allow-unsteady decides on such times anyway)",
      file, model.error->unsteady, model.error->networks));
}

LatencyModelPtr load_latency_model(const std::string& path) {
  return latency_model_from_json(read_file(path, 64 << 20));
}

void save_latency_model(const LatencyModel& model, const std::string& path) {
  write_file_atomically(path, to_json(model));
}

}  // namespace hac
